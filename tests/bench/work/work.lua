-- SPDX-License-Identifier: MIT
-- luajit work.lua and lua5.4 work.lua N: the same in a trace compiler and in an interpreter; N divides the work.
local div = tonumber(arg[1] or "1")
local function body(n)
  local p, s = {}, 0
  for i = 1, 5 do p[i] = { x = i, y = i * 0.5, vx = 0, vy = 0.1 * i, m = 1 / i } end
  for _ = 1, n do
    for i = 1, 5 do
      local a = p[i]
      for j = i + 1, 5 do
        local b = p[j]
        local dx, dy = a.x - b.x, a.y - b.y
        local d = dx * dx + dy * dy + 0.01
        local m = 0.001 / (d * math.sqrt(d))
        a.vx, a.vy, b.vx, b.vy = a.vx - dx * b.m * m, a.vy - dy * b.m * m, b.vx + dx * a.m * m, b.vy + dy * a.m * m
      end
    end
    for i = 1, 5 do local a = p[i] a.x, a.y = a.x + 0.001 * a.vx, a.y + 0.001 * a.vy end
  end
  for i = 1, 5 do s = s + p[i].x + p[i].y end
  return s
end
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
local function words(n)
  local t, c = {}, 0
  for i = 1, n do t[#t + 1] = string.format("%d:%s", i * 7 % 1000, string.rep("x", i % 9)) end
  table.sort(t)
  local u = {}
  for w in table.concat(t, " "):gmatch("%d+:x*") do u[w] = (u[w] or 0) + 1 end
  for k, v in pairs(u) do c = c + #k * v end
  return c
end
print(string.format("%.9f %d %d", body(2000000 / div), fib(div > 1 and 28 or 36), words(400000 / div)))
