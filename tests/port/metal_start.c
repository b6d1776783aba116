/* metal_start.c - starts a program on a bare Cortex-M3 and lets it speak by
 * semihosting. The stack lies below all data, so that one that grows too deep
 * faults, and is painted, so that its depth can be told. */
#include <stdint.h>
#include <string.h>

extern uint32_t board_stack[], board_stack_top[], board_data[], board_data_end[], board_bss[],
    board_bss_end[];
extern const uint32_t board_data_image[];

int main(void);
void metal_reset(void);
void metal_say(const char *text);
uint32_t metal_stack_bytes(void);

#define PAINT 0x5ac3a55au

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void metal_say(const char *text)
{
    semihost(4, text); /* SYS_WRITE0 */
}

static void leave(int status)
{
    /* SYS_EXIT; "application exit" is success, any other reason a failure */
    semihost(0x18, (const void *)(uintptr_t)(status ? 0x20023u : 0x20026u));
    for (;;)
        ;
}

uint32_t metal_stack_bytes(void)
{
    const uint32_t *at = board_stack;
    while (at < board_stack_top && *at == PAINT)
        ++at;
    return (uint32_t)((uintptr_t)board_stack_top - (uintptr_t)at);
}

static void fault(void)
{
    /* a stack of its own: that of the program may be what is broken */
    __asm__ volatile("msr msp, %0" : : "r"(board_stack_top));
    metal_say("fault: the stack is too small, or worse\n");
    leave(1);
}

void metal_reset(void)
{
    uint32_t *at = board_stack;
    volatile uint32_t here; /* everything below is not in use yet */
    while (at < (uint32_t *)(uintptr_t)&here - 16)
        *at++ = PAINT;
    memcpy(board_data, board_data_image, (uintptr_t)board_data_end - (uintptr_t)board_data);
    memset(board_bss, 0, (uintptr_t)board_bss_end - (uintptr_t)board_bss);
    leave(main());
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    board_stack_top, metal_reset, fault, fault, fault, fault, fault,
};
