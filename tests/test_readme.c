/* test_readme.c - README.md's table of operations and their parameters is that
 * of the shapes by which requests are read.
 *
 *     test_readme --update    writes it there anew */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "check.h"

#define README "../README.md"

static char text[1 << 17], table[1 << 15];
static size_t table_size;

static void add(const char *piece)
{
    const size_t length = strlen(piece);
    CHECK(length < sizeof table - table_size);
    memcpy(table + table_size, piece, length + 1);
    table_size += length;
}

/* The members of an operation's request that are obeyed, or that are refused. */
static void add_members(const dynbi_shape *shape, int refused)
{
    uint32_t row, count = 0;
    const uint8_t owner = dynbi_members[shape->first_row].owner;
    for (row = shape->first_row; row < DYNBI_ROW_COUNT; ++row) {
        const dynbi_member *member = &dynbi_members[row];
        if (member->owner != owner || !member->name_length)
            break;
        if ((member->check == DYNBI_MEMBER_REFUSED) != refused)
            continue;
        add(count++ ? ", " : "");
        add(dynbi_member_name(member));
    }
}

static void make_table(void)
{
    uint32_t i;
    add("\n| operation | parameters | refused |\n|---|---|---|\n");
    for (i = 0; i < DYNB_OPERATION_COUNT; ++i) {
        const dynbi_shape *shape = &dynbi_shapes[dynbi_operations[i].shape];
        add("| ");
        add(dynbi_operations[i].name);
        add(" | ");
        if (dynbi_members[shape->first_row].name_length) {
            add_members(shape, 0);
            add(" | ");
            add_members(shape, 1);
        } else {
            add(" | ");
        }
        add(" |\n");
    }
    add("\n");
}

int main(int argc, char **argv)
{
    static const char begin_mark[] = "<!-- operations:begin -->\n";
    const int updates = argc > 1 && !strcmp(argv[1], "--update");
    FILE *file = fopen(README, "rb");
    char *begin, *end;
    size_t size;
    (void)check_seed("test_readme");
    if (!file) {
        printf("test_readme: skipped: there is no README.md beside the header\n");
        return 77;
    }
    size = fread(text, 1, sizeof text - 1, file);
    CHECK(size < sizeof text - 1 && !ferror(file));
    fclose(file);
    make_table();
    begin = strstr(text, begin_mark);
    end = begin ? strstr(begin, "<!-- operations:end -->") : NULL;
    CHECK(end != NULL);
    if (end && updates) {
        begin += sizeof begin_mark - 1;
        file = fopen(README, "wb");
        CHECK(file != NULL);
        if (file) {
            CHECK(fwrite(text, 1, (size_t)(begin - text), file) == (size_t)(begin - text));
            CHECK(fputs(table, file) >= 0 && fputs(end, file) >= 0);
            CHECK(fclose(file) == 0);
        }
    } else if (end) {
        begin += sizeof begin_mark - 1;
        CHECK((size_t)(end - begin) == table_size && !memcmp(begin, table, table_size));
        if (check_failed_count)
            printf("the table must be:\n%s", table);
    }
    return check_report("test_readme");
}
