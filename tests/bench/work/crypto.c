// SPDX-License-Identifier: MIT
// crypto KIND: a fixed amount of work by libcrypto, found at run time (no headers needed). KIND: a cipher's or a
// digest's name, or rsa.
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
enum { CHUNK = 8192 };
static void *lib;
static void *find(const char *name)
{
    void *p = dlsym(lib, name);
    if (!p) fprintf(stderr, "no %s\n", name);
    return p;
}
#define F(result, name, ...) result (*name)(__VA_ARGS__) = (result(*)(__VA_ARGS__))find(#name)
static unsigned char buf[CHUNK + 64], out[CHUNK + 64];

static unsigned sum(const unsigned char *p, int n)
{
    unsigned s = 1;
    while (n--) s = s * 16777619u ^ *p++;
    return s;
}

static unsigned cipher(const void *kind, int times)
{
    F(void *, EVP_CIPHER_CTX_new, void);
    F(int, EVP_EncryptInit_ex, void *, const void *, void *, const unsigned char *, const unsigned char *);
    F(int, EVP_EncryptUpdate, void *, unsigned char *, int *, const unsigned char *, int);
    F(int, EVP_EncryptFinal_ex, void *, unsigned char *, int *);
    void *c = EVP_CIPHER_CTX_new();
    int n = 0;
    unsigned s = 0;
    EVP_EncryptInit_ex(c, kind, NULL, buf, buf + 64);
    for (int i = 0; i < times; i++) EVP_EncryptUpdate(c, out, &n, buf, CHUNK), s = s * 31 + sum(out, 16);
    EVP_EncryptFinal_ex(c, out, &n);
    return s;
}

static unsigned digest(const void *kind, int times)
{
    F(void *, EVP_MD_CTX_new, void);
    F(int, EVP_DigestInit_ex, void *, const void *, void *);
    F(int, EVP_DigestUpdate, void *, const void *, size_t);
    F(int, EVP_DigestFinal_ex, void *, unsigned char *, unsigned *);
    void *c = EVP_MD_CTX_new();
    unsigned n = 0;
    EVP_DigestInit_ex(c, kind, NULL);
    for (int i = 0; i < times; i++) EVP_DigestUpdate(c, buf, CHUNK);
    EVP_DigestFinal_ex(c, out, &n);
    return sum(out, n);
}

// The key is another one in each guest that is built: signatures that verify are counted.
static unsigned rsa(int times)
{
    F(void *, EVP_PKEY_CTX_new, void *, void *);
    F(int, EVP_PKEY_sign_init, void *);
    F(int, EVP_PKEY_sign, void *, unsigned char *, size_t *, const unsigned char *, size_t);
    F(int, EVP_PKEY_verify_init, void *);
    F(int, EVP_PKEY_verify, void *, const unsigned char *, size_t, const unsigned char *, size_t);
    F(void *, d2i_PrivateKey_bio, void *, void **);
    F(void *, BIO_new_file, const char *, const char *);
    void *key = d2i_PrivateKey_bio(BIO_new_file("/data/rsa.der", "rb"), NULL);
    void *c = EVP_PKEY_CTX_new(key, NULL);
    unsigned good = 0;
    for (int i = 0; i < times; i++) {
        size_t n = sizeof out;
        buf[0] = i;
        EVP_PKEY_sign_init(c);
        EVP_PKEY_sign(c, out, &n, buf, 32);
        EVP_PKEY_verify_init(c);
        good += EVP_PKEY_verify(c, out, n, buf, 32) == 1;
    }
    return good;
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    int times = 0;
    if (argc > 2) sscanf(argv[2], "%d", &times);
    lib = dlopen("libcrypto.so.3", RTLD_NOW);
    F(const void *, EVP_get_cipherbyname, const char *);
    F(const void *, EVP_get_digestbyname, const char *);
    for (int i = 0; i < CHUNK; i++) buf[i] = i * 7 + i / 256;
    const void *c = EVP_get_cipherbyname(kind), *d = EVP_get_digestbyname(kind);
    unsigned r = c ? cipher(c, times) : d ? digest(d, times) : rsa(times);
    printf("%s %u\n", kind, r);
    return !c && !d && r != (unsigned)times;
}
