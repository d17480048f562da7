/* What a migration file says of itself, for those who only want to know where it stands. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/engine/lineage.h"

char *eng_sha256_hex(const void *bytes, size_t len)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct buf out = {0};

    EVP_Digest(bytes, len, sum, &n, EVP_sha256(), NULL);
    for (unsigned i = 0; i < n; i++)
        buf_printf(&out, "%02x", sum[i]);
    return buf_take(&out);
}

enum rc eng_file_head(const char *where, const char *text, struct eng_file_head *head,
                      struct err *err)
{
    struct file *file;

    *head = (struct eng_file_head){0};
    if (file_load(where, text, &file, err) != RC_OK)
        return RC_ERR;
    head->name = mem_strdup(file->name);
    head->sha256 = eng_sha256_hex(text, strlen(text));
    head->parents = mem_calloc(file->nafter + 1, sizeof(char *));
    for (size_t i = 0; i < file->nafter; i++)
        head->parents[head->nparents++] = mem_strdup(file->after[i]);
    head->line = file_line(where, text, file->nafter ? "after" : "name");
    file_free(file);
    return RC_OK;
}

void eng_file_head_fini(struct eng_file_head *head)
{
    for (size_t i = 0; i < head->nparents; i++)
        free(head->parents[i]);
    free(head->parents);
    free(head->name);
    free(head->sha256);
}
