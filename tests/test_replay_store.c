/* test_replay_store.c - damaged stores: the fuzz corpus, and inputs made of it. */
#define REPLAY_NAME "store"
#include "fuzz/fuzz_store.c"
#include "fuzz/replay.c"
