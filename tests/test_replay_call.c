/* test_replay_call.c - dynb_call: the fuzz corpus, and inputs made of it. */
#define REPLAY_NAME "call"
#include "fuzz/fuzz_call.c"
#include "fuzz/replay.c"
