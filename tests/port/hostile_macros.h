/* hostile_macros.h - a user whose own headers define short, common names.
 *
 * All of it is legal before including dynbackup.h: the names belong to the
 * program, and the system headers have been read. Collected from windows.h,
 * debugging allocators, kernel-style helpers and homes of small C projects. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* A debugging allocator: fine for calls of free(p), fatal for a member or a
 * parameter called with other arguments. */
static inline void hostile_free(void *block)
{
    (free)(block);
}
#define free(block) hostile_free(block)
#define malloc(size) (malloc)(size)
#define realloc(block, size) (realloc)(block, size)
#define calloc(count, size) (calloc)(count, size)

/* The usual helpers. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define min(a, b) MIN(a, b)
#define max(a, b) MAX(a, b)
#define abs(x) ((x) < 0 ? -(x) : (x))
#define swap(a, b) hostile swap
#define round(x) hostile round
#define ARRAY_SIZE(a) (sizeof(a) / sizeof(a)[0])
#define countof(a) ARRAY_SIZE(a)
#define offset_of(type, member) hostile offset_of
#define container_of(p, type, member) hostile container_of
#define likely(x) (x)
#define unlikely(x) (x)
#undef assert
#define assert(x) hostile assert
#define ASSERT(x) hostile ASSERT
#define CHECK(x) hostile CHECK
#define UNUSED hostile UNUSED
#define STATIC hostile STATIC
#define INLINE hostile INLINE
#define CONST hostile CONST

/* windows.h and its relatives. */
#define near
#define far
#define small char
#define interface struct
#define IN
#define OUT
#define OPTIONAL
#define VOID void
#define ERROR 0
#define NO_ERROR 0L
#define DELETE 0x00010000L
#define READ_CONTROL 0x00020000L
#define SYNCHRONIZE 0x00100000L
#define TRUE 1
#define FALSE 0
#define BOOL int
#define BYTE unsigned char
#define CALLBACK
#define CREATE_NEW 1
#define OPEN_EXISTING 3

/* Names of codes and types that ours could be confused with. */
#define OK 0
#define FAIL 1
#define VALIDATION 1
#define SERIALIZATION 1
#define INVALID_ARGUMENT 1
#define NO_MEMORY 2
#define NO_SPACE 3
#define IO_FAILED 4
#define READ_ONLY 5
#define CORRUPT 6
#define LOCKED 7
#define THROTTLING 8
#define LIMIT_EXCEEDED 9
#define S 1
#define N 2
#define B 3
#define L 4
#define M 5
#define X 6
#define I 7
#define SS 8
#define NS 9
#define BS 10
#define KB 1024
#define MB 1048576
#define PAGE_SIZE 4096
#define NODE_SIZE 8192
#define HEADER_SIZE 16
#define KEY_SIZE 8
#define LEAF 1
#define ROOT 2
#define VERSION "hostile"
#define DEBUG 1
#define byte hostile
#define uint hostile
#define u8 hostile
#define u16 hostile
#define u32 hostile
#define u64 hostile
#define unix 1
#define linux 1

#if !defined(__cplusplus)
#undef bool
#undef true
#undef false
#define bool hostile
#define true hostile
#define false hostile
#define inline_ hostile
#define class hostile
#define new hostile
#define this hostile
#define template hostile
#endif
