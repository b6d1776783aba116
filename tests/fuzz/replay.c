/* replay.c - runs a fuzz target without a fuzzer: over the files of a corpus
 * and over inputs made of them.
 *
 * Included by tests/test_replay_NAME.c, which names the target. A target that
 * finds something wrong ends the process. SEED and SCALE as in every test;
 * a program's arguments, if there are any, are inputs to be run instead;
 * VERBOSE=1 shows each input before it is run. Run in the directory tests. */
#include <dirent.h>

#include "../check.h"

#define INPUT_MAX 4096u
#define FILES_MAX 256u
#define GENERATED_COUNT 300u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    uint8_t *bytes;
    size_t size_bytes;
} input;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of the directory in order of their names, the same everywhere. */
static uint32_t list_files(const char *path, char *names[FILES_MAX])
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    uint32_t count = 0;
    while (directory && count < FILES_MAX && (entry = readdir(directory)) != NULL) {
        size_t size = strlen(path) + strlen(entry->d_name) + 2;
        if (entry->d_name[0] == '.')
            continue;
        names[count] = (char *)malloc(size);
        if (names[count])
            snprintf(names[count++], size, "%s/%s", path, entry->d_name);
    }
    if (directory)
        closedir(directory);
    qsort(names, count, sizeof names[0], by_name);
    return count;
}

static input read_input(const char *path)
{
    FILE *file = fopen(path, "rb");
    input in;
    in.bytes = (uint8_t *)malloc(INPUT_MAX);
    in.size_bytes = file && in.bytes ? fread(in.bytes, 1, INPUT_MAX, file) : 0;
    CHECK(file != NULL && in.bytes != NULL);
    if (file)
        fclose(file);
    return in;
}

/* One of the corpus, changed in a few places, sometimes cut or lengthened. */
static size_t generate(check_random *random, const input *corpus, uint32_t count, uint8_t *to)
{
    const input *from = &corpus[check_below(random, count)];
    size_t size = from->size_bytes, at;
    uint64_t changes = 1 + check_below(random, 6);
    memcpy(to, from->bytes, size);
    if (check_below(random, 4) == 0)
        size = (size_t)check_below(random, size + 1);
    while (check_below(random, 3) == 0 && size + 8 <= INPUT_MAX) {
        uint64_t draw = check_next(random);
        memcpy(to + size, &draw, 8);
        size += 8;
    }
    while (size && changes--) {
        at = (size_t)check_below(random, size);
        to[at] = (uint8_t)(check_below(random, 2) ? check_next(random)
                                                  : to[at] ^ (1u << check_below(random, 8)));
    }
    return size;
}

static void run_one(const char *name, const uint8_t *bytes, size_t size)
{
    size_t i;
    if (check_env("VERBOSE", 0)) {
        printf("%s:", name);
        for (i = 0; i < size; ++i)
            printf(" %02x", (unsigned)bytes[i]);
        printf("\n");
        fflush(stdout);
    }
    LLVMFuzzerTestOneInput(bytes, size);
    CHECK(1);
}

int main(int argc, char **argv)
{
    static char *names[FILES_MAX];
    static input corpus[FILES_MAX];
    static uint8_t made[INPUT_MAX];
    const char *title = "test_replay_" REPLAY_NAME;
    uint64_t generated = check_scaled(GENERATED_COUNT);
    check_random random;
    uint32_t count, i;
    int argument;
    for (argument = 1; argument < argc; ++argument) {
        input in = read_input(argv[argument]);
        run_one(argv[argument], in.bytes, in.size_bytes);
        free(in.bytes);
    }
    if (argc > 1)
        return check_report(title);
    random.state = check_seed(title);
    count = list_files("fuzz/corpus/" REPLAY_NAME, names);
    CHECK(count > 0);
    run_one("nothing", made, 0);
    for (i = 0; i < count; ++i) {
        corpus[i] = read_input(names[i]);
        run_one(names[i], corpus[i].bytes, corpus[i].size_bytes);
    }
    for (i = 0; count && i < generated; ++i)
        run_one("generated", made, generate(&random, corpus, count, made));
    for (i = 0; i < count; ++i) {
        free(corpus[i].bytes);
        free(names[i]);
    }
    return check_report(title);
}
