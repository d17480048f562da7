/* The versions of schema `segue`: element i brings a database from version i to i + 1. */
#ifndef SEGUE_ENGINE_STORE_DDL_H
#define SEGUE_ENGINE_STORE_DDL_H

#include <stddef.h>

extern const char *const store_ddl[];
extern const size_t store_ddl_count;

#endif
