/* test_replay_log.c - damaged logs: the fuzz corpus, and inputs made of it. */
#define REPLAY_NAME "log"
#include "fuzz/fuzz_log.c"
#include "fuzz/replay.c"
