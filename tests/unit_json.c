/* unit_json.c - section 15: the reader, the writer, items and every message. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"
#include "check.h"

#define WRONG "One or more parameter values were invalid: "
#define BAD "the JSON text is malformed: "
#define EMPTY \
    "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
#define SEVERAL \
    "Supplied AttributeValue has more than one datatypes set, must contain exactly " \
    "one of the supported datatypes"
#define MAP \
    "Unrecognized collection type java.util.Map<java.lang.String, " \
    "com.amazonaws.dynamodb.v20120810.AttributeValue>"
#define VALUE "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"
#define START "Start of structure or map found where not expected"
#define NESTING \
    "Nesting Levels have exceeded supported limits: Attributes in the item have " \
    "nested levels beyond supported limit"

static dynb_error err;
static dynb_builder builder;
static dynb_result result;

/* The text is copied to a block of its size: reading past it is seen. */
static dynb_rc parse(const char *text, size_t length, dynb_item *item)
{
    char *exact = (char *)malloc(length ? length : 1);
    dynb_rc rc;
    if (length)
        memcpy(exact, text, length);
    memset(&err, 0, sizeof err);
    rc = dynb_item_from_json(&builder, exact, length, item, &err);
    CHECK_INT(dynb_item_from_json(&builder, exact, length, item, NULL), rc);
    free(exact);
    return rc;
}

static const char *write_item(dynb_item item, size_t *length)
{
    const char *text = NULL;
    CHECK_INT(dynb_item_to_json(item, &result, &text, length, &err), DYNB_OK);
    CHECK(text && !text[*length]);
    return text ? text : "";
}

/* in gives out, and out gives the same bytes again */
static void good(const char *in, const char *out)
{
    dynb_item item, again;
    size_t length;
    dynb_builder other;
    CHECK_INT(parse(in, strlen(in), &item), DYNB_OK);
    if (err.code) {
        printf("%s: %s\n", in, err.message);
        return;
    }
    CHECK_INT(dynb_item_check(item, &err), DYNB_OK);
    CHECK_TEXT(write_item(item, &length), out);
    memset(&other, 0, sizeof other);
    CHECK_INT(dynb_item_from_json(&other, out, strlen(out), &again, &err), DYNB_OK);
    CHECK(again.size_bytes == item.size_bytes && !memcmp(again.bytes, item.bytes, item.size_bytes));
    dynb_builder_free(&other);
}

static void bad(const char *in, dynb_rc rc, uint64_t pos, const char *path, const char *message)
{
    dynb_item item = {(const uint8_t *)"x", 1};
    CHECK_INT(parse(in, strlen(in), &item), rc);
    CHECK(!item.bytes && !item.size_bytes);
    CHECK_INT(err.code, rc);
    if (err.pos != pos || strcmp(err.path, path) != 0)
        printf("%s\n", in);
    CHECK_INT(err.pos, pos);
    CHECK_TEXT(err.path, path);
    CHECK_TEXT(err.message, message);
}

static void test_good(void)
{
    good("{}", "{}");
    good(" \t\r\n{ \"a\" : { \"S\" : \"x\" } , \"b\":{\"N\":\"1.0\"} } \n",
         "{\"a\":{\"S\":\"x\"},\"b\":{\"N\":\"1\"}}");
    good("{\"b\":{\"BOOL\":true},\"a\":{\"BOOL\":false},\"n\":{\"NULL\":true}}",
         "{\"a\":{\"BOOL\":false},\"b\":{\"BOOL\":true},\"n\":{\"NULL\":true}}");
    good("{\"a\":{\"B\":\"AAEC\"},\"b\":{\"B\":\"\"},\"c\":{\"B\":\"Zg==\"}}",
         "{\"a\":{\"B\":\"AAEC\"},\"b\":{\"B\":\"\"},\"c\":{\"B\":\"Zg==\"}}");
    good("{\"a\":{\"B\":\"\\u0041AEC\"},\"b\":{\"B\":\"\\/\\/\\/\\/\"}}",
         "{\"a\":{\"B\":\"AAEC\"},\"b\":{\"B\":\"////\"}}");
    good("{\"s\":{\"SS\":[\"b\",\"a\",\"\"]},\"n\":{\"NS\":[\"10\",\"-1\",\"0\",\"1e0\"]},"
         "\"b\":{\"BS\":[\"Yg==\",\"\"]}}",
         "{\"b\":{\"BS\":[\"\",\"Yg==\"]},\"n\":{\"NS\":[\"-1\",\"0\",\"1\",\"10\"]},"
         "\"s\":{\"SS\":[\"\",\"a\",\"b\"]}}");
    good("{\"l\":{\"L\":[]},\"m\":{\"M\":{}}}", "{\"l\":{\"L\":[]},\"m\":{\"M\":{}}}");
    good("{\"l\":{\"L\":[{\"M\":{\"b\":{\"L\":[{\"S\":\"\"}]},\"a\":{\"NULL\":true}}},{\"N\":\"7\"}"
         "]}}",
         "{\"l\":{\"L\":[{\"M\":{\"a\":{\"NULL\":true},\"b\":{\"L\":[{\"S\":\"\"}]}}},{\"N\":\"7\"}"
         "]}}");
    /* unknown members and nulls beside the type */
    good("{\"a\":{\"dog\":{\"x\":[1,2,{\"y\":null}]},\"S\":\"x\",\"N\":null,\"cat\":-1.5e+3}}",
         "{\"a\":{\"S\":\"x\"}}");
    /* words for booleans */
    good("{\"a\":{\"BOOL\":\"TRUE\"},\"b\":{\"BOOL\":\"false\"},\"c\":{\"BOOL\":\"1\"},"
         "\"d\":{\"BOOL\":\"0\"},\"e\":{\"BOOL\":\"Yes\"},\"f\":{\"BOOL\":\"nO\"},"
         "\"g\":{\"NULL\":\"yes\"},\"h\":{\"BOOL\":\"tr\\u0075e\"}}",
         "{\"a\":{\"BOOL\":true},\"b\":{\"BOOL\":false},\"c\":{\"BOOL\":true},"
         "\"d\":{\"BOOL\":false},\"e\":{\"BOOL\":true},\"f\":{\"BOOL\":false},"
         "\"g\":{\"NULL\":true},\"h\":{\"BOOL\":true}}");
    /* escapes, in names and types too */
    good("{\"\\u0061\\n\":{\"\\u0053\":\"\\\"\\\\\\/"
         "\\b\\f\\n\\r\\t\\u0000\\u001F\\u00e9\\u20AC\\ud83d\\uDE00\"}}",
         "{\"a\\n\":{\"S\":\"\\\"\\\\/"
         "\\b\\f\\n\\r\\t\\u0000\\u001f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}}");
    good("{\"\xc3\xa9\":{\"S\":\"plain text, long enough for words of eight; \x7f \xe2\x82\xac "
         "end\"}}",
         "{\"\xc3\xa9\":{\"S\":\"plain text, long enough for words of eight; \x7f \xe2\x82\xac "
         "end\"}}");
    good("{\"\\u0061\":{\"M\":{\"\\u0062\":{\"L\":[{\"SS\":[\"\\u0063\"]}]}}}}",
         "{\"a\":{\"M\":{\"b\":{\"L\":[{\"SS\":[\"c\"]}]}}}}");
}

static void test_malformed(void)
{
    bad("", DYNB_SERIALIZATION, 0, "", BAD "a value is missing");
    bad("  ", DYNB_SERIALIZATION, 2, "", BAD "a value is missing");
    bad("{", DYNB_SERIALIZATION, 1, "", BAD "a name is missing");
    bad("{,}", DYNB_SERIALIZATION, 1, "", BAD "a name is missing");
    bad("{a:1}", DYNB_SERIALIZATION, 1, "", BAD "a name is missing");
    bad("{\"a\"}", DYNB_SERIALIZATION, 4, "", BAD "a colon is missing");
    bad("{\"a\" ", DYNB_SERIALIZATION, 5, "", BAD "a colon is missing");
    bad("{\"a\":}", DYNB_SERIALIZATION, 5, "a", BAD "a value is missing");
    bad("{\"a\":", DYNB_SERIALIZATION, 5, "a", BAD "a value is missing");
    bad("{\"a\":{\"S\":\"x\"},}", DYNB_SERIALIZATION, 15, "a", BAD "a name is missing");
    bad("{\"a\":{\"S\":\"x\"} \"b\"", DYNB_SERIALIZATION, 15, "a",
        BAD "a comma or an end is missing");
    bad("{\"a\":{\"S\":\"x\"}", DYNB_SERIALIZATION, 14, "a", BAD "a comma or an end is missing");
    bad("{\"a\":{\"S\":\"x\"]}", DYNB_SERIALIZATION, 13, "a", BAD "a comma or an end is missing");
    bad("{\"a\":{\"L\":[{\"S\":\"x\"}}", DYNB_SERIALIZATION, 20, "a.L[1]",
        BAD "a comma or an end is missing");
    bad("{\"a\":{\"L\":[{\"S\":\"x\"},]", DYNB_SERIALIZATION, 21, "a.L[1]",
        BAD "a value is missing");
    bad("{\"a\":{\"SS\":[\"x\",]", DYNB_SERIALIZATION, 16, "a.SS[1]", BAD "a value is missing");
    bad("{} x", DYNB_SERIALIZATION, 3, "", BAD "text follows the value");
    bad("{}{}", DYNB_SERIALIZATION, 2, "", BAD "text follows the value");
    bad("{\"a\":{\"S\":\"x", DYNB_SERIALIZATION, 12, "a", BAD "the string has no end");
    bad("{\"a", DYNB_SERIALIZATION, 3, "", BAD "the string has no end");
    bad("{\"a\":{\"S\":\"x\ty\"}}", DYNB_SERIALIZATION, 12, "a",
        BAD "a control character is not escaped");
    bad("{\"a\":{\"S\":\"123456789\n\"}}", DYNB_SERIALIZATION, 20, "a",
        BAD "a control character is not escaped");
    bad("{\"a\":{\"S\":\"\xc3(\"}}", DYNB_SERIALIZATION, 11, "a", BAD "the text is not UTF-8");
    bad("{\"a\":{\"S\":\"\xed\xa0\x80\"}}", DYNB_SERIALIZATION, 11, "a",
        BAD "the text is not UTF-8");
    bad("{\"a\":{\"S\":\"\\x\"}}", DYNB_SERIALIZATION, 11, "a", BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\", DYNB_SERIALIZATION, 11, "a", BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\u12", DYNB_SERIALIZATION, 11, "a", BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\u12g4\"}}", DYNB_SERIALIZATION, 11, "a", BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\ud800\"}}", DYNB_SERIALIZATION, 11, "a", BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\udc00\"}}", DYNB_SERIALIZATION, 11, "a", BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\ud800\\n12345\"}}", DYNB_SERIALIZATION, 11, "a",
        BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\ud800x12345\"}}", DYNB_SERIALIZATION, 11, "a",
        BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\ud800\\u0041\"}}", DYNB_SERIALIZATION, 11, "a",
        BAD "an escape is malformed");
    bad("{\"a\":{\"S\":\"\\ud800\\ue000\"}}", DYNB_SERIALIZATION, 11, "a",
        BAD "an escape is malformed");
    bad("{\"a\":{\"S\":tru}}", DYNB_SERIALIZATION, 10, "a", BAD "a value is missing");
    bad("{\"a\":{\"S\":fals", DYNB_SERIALIZATION, 10, "a", BAD "a value is missing");
    bad("{\"a\":{\"S\":nul!}}", DYNB_SERIALIZATION, 10, "a", BAD "a value is missing");
    bad("{\"a\":{\"S\":x}}", DYNB_SERIALIZATION, 10, "a", BAD "a value is missing");
    bad("{\"a\":{\"S\":-}}", DYNB_SERIALIZATION, 11, "a", BAD "a digit is missing");
    bad("{\"a\":{\"S\":1.}}", DYNB_SERIALIZATION, 12, "a", BAD "a digit is missing");
    bad("{\"a\":{\"S\":1e}}", DYNB_SERIALIZATION, 12, "a", BAD "a digit is missing");
    bad("{\"a\":{\"S\":1E+", DYNB_SERIALIZATION, 13, "a", BAD "a digit is missing");
    bad("{\"a\":{\"dog\":[1,}}", DYNB_SERIALIZATION, 15, "a", BAD "a value is missing");
    bad("{\"a\":{\"dog\":01}}", DYNB_SERIALIZATION, 13, "a", BAD "a comma or an end is missing");
    bad("{\"a\":{5}}", DYNB_SERIALIZATION, 6, "a", BAD "a name is missing");
}

static void test_classes(void)
{
    static const struct {
        const char *tag, *value, *message;
    } table[] = {
        {"S", "true", "TRUE_VALUE cannot be converted to String"},
        {"S", "false", "FALSE_VALUE cannot be converted to String"},
        {"S", "23", "NUMBER_VALUE cannot be converted to String"},
        {"S", "-0", "NUMBER_VALUE cannot be converted to String"},
        {"S", "34.56", "DECIMAL_VALUE cannot be converted to String"},
        {"S", "1e5", "DECIMAL_VALUE cannot be converted to String"},
        {"S", "[]", "Unrecognized collection type class java.lang.String"},
        {"S", "{}", START},
        {"N", "3", "NUMBER_VALUE cannot be converted to String"},
        {"N", "[]", "Unrecognized collection type class java.lang.String"},
        {"BOOL", "23", "NUMBER_VALUE cannot be converted to Boolean"},
        {"BOOL", "2.5", "DECIMAL_VALUE cannot be converted to Boolean"},
        {"BOOL", "\"23\"", "Unexpected token received from parser"},
        {"BOOL", "\"\"", "Unexpected token received from parser"},
        {"BOOL", "\"truex\"", "Unexpected token received from parser"},
        {"BOOL", "\"tru\"", "Unexpected token received from parser"},
        {"BOOL", "[]", "Unrecognized collection type class java.lang.Boolean"},
        {"BOOL", "{}", START},
        {"NULL", "\"null\"", "Unexpected token received from parser"},
        {"NULL", "[]", "Unrecognized collection type class java.lang.Boolean"},
        {"B", "1", "only base-64-encoded strings are convertible to bytes"},
        {"B", "true", "only base-64-encoded strings are convertible to bytes"},
        {"B", "[]", "Unrecognized collection type class java.nio.ByteBuffer"},
        {"B", "{}", START},
        {"B", "\"23456\"", "Base64 encoded length is expected a multiple of 4 bytes but found: 5"},
        {"B", "\"=+/=\"", "Invalid last non-pad Base64 character dectected"},
        {"B", "\"Zh==\"", "Invalid last non-pad Base64 character dectected"},
        {"B", "\"a-bc\"", "Invalid Base64 character: '-'"},
        {"B", "\"ab\xc3\xa9\"", "Invalid Base64 character: '\xc3\xa9'"},
        {"SS", "\"x\"", "Unexpected field type"},
        {"NS", "1", "Unexpected field type"},
        {"BS", "true", "Unexpected field type"},
        {"SS", "{}", START},
        {"L", "\"x\"", "Unexpected field type"},
        {"L", "{}", START},
        {"M", "5", "Unexpected field type"},
        {"M", "\"x\"", "Unexpected field type"},
        {"M", "[]", MAP},
    };
    size_t i;
    char text[200];
    for (i = 0; i < sizeof table / sizeof *table; ++i) {
        (void)snprintf(text, sizeof text, "{\"a\":{\"%s\":%s}}", table[i].tag, table[i].value);
        bad(text, DYNB_SERIALIZATION, (uint64_t)(strlen(text) - 2 - strlen(table[i].value)), "a",
            table[i].message);
        (void)snprintf(text, sizeof text, "{\"a\":{\"L\":[{\"%s\":%s}]}}", table[i].tag,
                       table[i].value);
        bad(text, DYNB_SERIALIZATION, (uint64_t)(strlen(text) - 4 - strlen(table[i].value)),
            "a.L[0]", table[i].message);
    }
    bad("{\"a\":{\"SS\":[\"x\",4]}}", DYNB_SERIALIZATION, 16, "a.SS[1]",
        "NUMBER_VALUE cannot be converted to String");
    bad("{\"a\":{\"BS\":[\"\",\"x\"]}}", DYNB_SERIALIZATION, 15, "a.BS[1]",
        "Base64 encoded length is expected a multiple of 4 bytes but found: 1");
    bad("{\"a\":{\"BS\":[{}]}}", DYNB_SERIALIZATION, 12, "a.BS[0]", START);
    bad("{\"a\":{\"NS\":[[]]}}", DYNB_SERIALIZATION, 12, "a.NS[0]",
        "Unrecognized collection type class java.lang.String");
    bad("5", DYNB_SERIALIZATION, 0, "", "Unexpected field type");
    bad("[]", DYNB_SERIALIZATION, 0, "", MAP);
    bad("{\"a\":5}", DYNB_SERIALIZATION, 5, "a", "Unexpected value type in payload");
    bad("{\"a\":\"x\"}", DYNB_SERIALIZATION, 5, "a", "Unexpected value type in payload");
    bad("{\"a\":[]}", DYNB_SERIALIZATION, 5, "a", VALUE);
    bad("{\"a\":{\"L\":[5]}}", DYNB_SERIALIZATION, 11, "a.L[0]",
        "Unexpected value type in payload");
    bad("{\"a\":{\"L\":[{\"S\":\"\"},[]]}}", DYNB_SERIALIZATION, 20, "a.L[1]", VALUE);
    bad("{\"a\":{\"M\":{\"b\":true}}}", DYNB_SERIALIZATION, 15, "a.M.b",
        "Unexpected value type in payload");
}

static void test_rules(void)
{
    char text[600];
    int i;
    bad("{\"a\":{}}", DYNB_VALIDATION, 5, "a", EMPTY);
    bad("{\"a\":{\"dog\":\"cat\"}}", DYNB_VALIDATION, 5, "a", EMPTY);
    bad("{\"a\":{\"S\":null}}", DYNB_VALIDATION, 5, "a", EMPTY);
    bad("{\"a\":null}", DYNB_VALIDATION, 5, "a", EMPTY);
    bad("{\"a\":{\"L\":[null,{}]}}", DYNB_VALIDATION, 11, "a.L[0]", EMPTY);
    bad("{\"a\":{\"L\":[{\"S\":\"\"},{}]}}", DYNB_VALIDATION, 20, "a.L[1]", EMPTY);
    bad("{\"a\":{\"S\":\"x\",\"N\":\"1\"}}", DYNB_VALIDATION, 14, "a", SEVERAL);
    bad("{\"a\":{\"S\":\"x\",\"S\":\"x\"}}", DYNB_VALIDATION, 14, "a", SEVERAL);
    bad("{\"a\":{\"L\":[],\"M\":{\"b\":{\"S\":\"\"}},\"B\":\"\"}}", DYNB_VALIDATION, 13, "a",
        SEVERAL);
    bad("{\"a\":{\"NULL\":false}}", DYNB_VALIDATION, 13, "a",
        WRONG "Null attribute value types must have the value of true");
    bad("{\"a\":{\"NULL\":\"no\"}}", DYNB_VALIDATION, 13, "a",
        WRONG "Null attribute value types must have the value of true");
    bad("{\"a\":{\"SS\":[]}}", DYNB_VALIDATION, 11, "a", WRONG "An string set  may not be empty");
    bad("{\"a\":{\"NS\":[]}}", DYNB_VALIDATION, 11, "a", WRONG "An number set  may not be empty");
    bad("{\"a\":{\"BS\":[]}}", DYNB_VALIDATION, 11, "a", WRONG "Binary sets should not be empty");
    bad("{\"a\":{\"SS\":[\"a\",\"a\"]}}", DYNB_VALIDATION, 11, "a",
        WRONG "Input collection [a, a] contains duplicates.");
    bad("{\"a\":{\"M\":{\"b\":{\"NS\":[\"1\",\"1.0\"]}}}}", DYNB_VALIDATION, 21, "a.M.b",
        "Input collection contains duplicates");
    bad("{\"a\":{\"BS\":[\"Yg==\",\"Yg==\"]}}", DYNB_VALIDATION, 11, "a",
        WRONG "Input collection [Yg==, Yg==]of type BS contains duplicates.");
    bad("{\"a\":{\"SS\":[\"x\",null]}}", DYNB_VALIDATION, 16, "a.SS[1]",
        WRONG "a set may not have a null as a member");
    bad("{\"\":{\"S\":\"x\"}}", DYNB_VALIDATION, 9, "", WRONG "Empty attribute name");
    bad("{\"m\":{\"M\":{\"\":{\"S\":\"x\"}}}}", DYNB_VALIDATION, 19, "m.M.",
        WRONG "Empty attribute name");
    bad("{\"a\":{\"N\":\"\"}}", DYNB_VALIDATION, 10, "a",
        "The parameter cannot be converted to a numeric value");
    bad("{\"a\":{\"N\":\"dog\"}}", DYNB_VALIDATION, 10, "a",
        "The parameter cannot be converted to a numeric value: dog");
    bad("{\"a\":{\"N\":\"1e126\"}}", DYNB_VALIDATION, 10, "a",
        "Number overflow. Attempting to store a number with magnitude larger than supported range");
    bad("{\"a\":{\"N\":\"1e-131\"}}", DYNB_VALIDATION, 10, "a",
        "Number underflow. Attempting to "
        "store a number with magnitude smaller than supported range");
    bad("{\"t\":{\"L\":[{\"S\":\"\"},{\"M\":{\"x\":{\"NS\":[\"1\",\"z\"]}}}]}}", DYNB_VALIDATION,
        41, "t.L[1].M.x.NS[1]", "The parameter cannot be converted to a numeric value: z");
    /* names given twice: the second one's place, also when written otherwise */
    bad("{\"a\":{\"S\":\"\"},\"b\":{\"L\":[{\"S\":\"]}\"}]},\"\\u0061\":{\"S\":\"\"}}",
        DYNB_VALIDATION, 37, "\\u0061", WRONG "Attribute name given twice: a");
    bad("{\"m\":{\"M\":{\"k\":{\"N\":\"1\"},\"j\":{\"S\":\"\"},\"k\":{\"S\":\"\"},\"l\":{\"S\":"
        "\"\"}}}}",
        DYNB_VALIDATION, 38, "m.M.k", WRONG "Attribute name given twice: k");
    /* the first VALIDATION counts, but any SERIALIZATION before it */
    bad("{\"a\":{\"N\":\"x\"},\"b\":{\"N\":\"y\"},\"c\":{},\"d\":{\"M\":{\"e\":{\"L\":[{\"SS\":[]}]"
        "}}}}",
        DYNB_VALIDATION, 10, "a", "The parameter cannot be converted to a numeric value: x");
    bad("{\"a\":{\"N\":\"x\"},\"b\":{\"M\":{\"c\":{\"S\":true}}}}", DYNB_SERIALIZATION, 34, "b.M.c",
        "TRUE_VALUE cannot be converted to String");
    bad("{\"a\":{\"N\":\"x\"}} x", DYNB_SERIALIZATION, 16, "", BAD "text follows the value");
    /* nesting */
    for (i = 31; i <= 40; ++i) {
        int k;
        char *at = text;
        at += sprintf(at, "{\"a\":");
        for (k = 0; k < i; ++k)
            at += sprintf(at, k % 2 ? "{\"M\":{\"a\":" : "{\"L\":[");
        at += sprintf(at, "{\"SS\":[\"x\"]}");
        while (k--)
            at += sprintf(at, k % 2 ? "}}" : "]}");
        (void)sprintf(at, "}");
        if (i == 31)
            good(text, text);
        else {
            dynb_item item;
            CHECK_INT(parse(text, strlen(text), &item), DYNB_VALIDATION);
            CHECK_TEXT(err.message, NESTING);
            CHECK(err.pos > 200 && text[err.pos] == '{' && strlen(err.path) > 100);
        }
    }
}

static void test_depth(void)
{
    char text[400];
    int i;
    dynbi_json_reader reader;
    dynbi_json_token token;
    for (i = 127; i <= 129; ++i) {
        memset(text, '[', (size_t)i);
        memset(text + i, ']', (size_t)i);
        dynbi_json_start(&reader, text, (size_t)(2 * i));
        while (dynbi_json_next(&reader, &token) > DYNBI_JSON_END) {
        }
        CHECK_INT(token.kind, i <= 128 ? DYNBI_JSON_END : DYNBI_JSON_ERROR);
        CHECK(i <= 128 || token.pos == 128);
    }
    CHECK_TEXT(reader.error, "it nests too deep");
    /* and inside an item */
    (void)sprintf(text, "{\"a\":{\"dog\":");
    memset(text + strlen(text), 0, 10);
    i = (int)strlen(text);
    memset(text + i, '[', 130);
    text[i + 130] = 0;
    bad(text, DYNB_SERIALIZATION, (uint64_t)(i + 126), "a", BAD "it nests too deep");
}

/* The reader by itself: any value at the top, kinds and places of tokens. */
static void test_reader(void)
{
    static const char text[] = " [ 1 , -2.5e+3, true,false,null,\"a\\n\",{\"k\" :[],\"l\":{}} ] ";
    static const struct {
        dynbi_json_kind kind;
        size_t pos;
    } expected[] = {
        {DYNBI_JSON_ARRAY, 1},      {DYNBI_JSON_NUMBER, 3},      {DYNBI_JSON_NUMBER, 7},
        {DYNBI_JSON_TRUE, 16},      {DYNBI_JSON_FALSE, 21},      {DYNBI_JSON_NULL, 27},
        {DYNBI_JSON_STRING, 32},    {DYNBI_JSON_OBJECT, 38},     {DYNBI_JSON_NAME, 39},
        {DYNBI_JSON_ARRAY, 44},     {DYNBI_JSON_ARRAY_END, 45},  {DYNBI_JSON_NAME, 47},
        {DYNBI_JSON_OBJECT, 51},    {DYNBI_JSON_OBJECT_END, 52}, {DYNBI_JSON_OBJECT_END, 53},
        {DYNBI_JSON_ARRAY_END, 55}, {DYNBI_JSON_END, 57},        {DYNBI_JSON_END, 57}};
    static const char *const scalars[] = {"0",         "-0",   "10",   "0.5",  "1e5",  "1E-5",
                                          "-12.25e+7", "true", "null", "\"\"", "\"x\""};
    dynbi_json_reader reader;
    dynbi_json_token token;
    uint8_t decoded[8];
    size_t i;
    dynbi_json_start(&reader, text, sizeof text - 1);
    for (i = 0; i < sizeof expected / sizeof *expected; ++i) {
        CHECK_INT(dynbi_json_next(&reader, &token), expected[i].kind);
        CHECK_INT(token.pos, expected[i].pos);
        if (i == 1)
            CHECK(!token.is_decimal && token.length == 1);
        if (i == 2)
            CHECK(token.is_decimal && token.length == 7);
        if (i == 6)
            CHECK(dynbi_json_decode(&token, decoded) == 2 && !memcmp(decoded, "a\n", 2));
        if (i == 8)
            CHECK(!token.has_escapes && token.length == 1 && *token.text == 'k');
    }
    for (i = 0; i < sizeof scalars / sizeof *scalars; ++i) {
        dynbi_json_start(&reader, scalars[i], strlen(scalars[i]));
        CHECK(dynbi_json_next(&reader, &token) >= DYNBI_JSON_STRING);
        CHECK_INT(dynbi_json_skip(&reader, &token), token.kind);
        CHECK_INT(dynbi_json_next(&reader, &token), DYNBI_JSON_END);
    }
    dynbi_json_start(&reader, text, sizeof text - 1);
    CHECK_INT(dynbi_json_next(&reader, &token), DYNBI_JSON_ARRAY);
    CHECK_INT(dynbi_json_skip(&reader, &token), DYNBI_JSON_ARRAY_END);
    CHECK_INT(dynbi_json_next(&reader, &token), DYNBI_JSON_END);
    /* two items, one after the other, from one reader */
    {
        static const char pair[] = "[{\"a\":{\"N\":\"1\"}},{\"b\":{\"N\":\"x\"}}]";
        dynb_item item;
        dynbi_json_start(&reader, pair, sizeof pair - 1);
        CHECK_INT(dynbi_json_next(&reader, &token), DYNBI_JSON_ARRAY);
        CHECK_INT(dynbi_json_read_item(&reader, &builder, 0, &item, &err), DYNB_OK);
        CHECK(dynb_item_get(item, "a").type == DYNB_N);
        CHECK_INT(dynbi_json_read_item(&reader, &builder, 0, &item, &err), DYNB_VALIDATION);
        CHECK_INT(err.pos, 27);
        CHECK_INT(dynbi_json_next(&reader, &token), DYNBI_JSON_ARRAY_END);
    }
}

/* ---------------------------------------------------------------- memory */

static long alloc_left = -1, alloc_blocks;

static void *alloc_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    (void)ctx;
    (void)old_size;
    if (!new_size) {
        alloc_blocks -= ptr != NULL;
        free(ptr);
        return NULL;
    }
    if (alloc_left == 0 || new_size > (size_t)1 << 30)
        return NULL;
    if (alloc_left > 0)
        --alloc_left;
    alloc_blocks += !ptr;
    return realloc(ptr, new_size);
}

static void test_no_memory(void)
{
    static const char *const texts[3] = {
        "{\"\\u0061\":{\"S\":\"\\u0061\"},\"b\":{\"B\":\"AAAA\"},\"c\":{\"B\":\"\\u0041AAA\"}}",
        "{\"b\":{\"B\":\"AAAA\"},\"d\":{\"N\":\"\\u0031\"},\"\\u0061\":{\"L\":[]}}",
        "{\"a\":{\"S\":\"0123456789012345678901234567890123456789012345678901234567890123456789"
        "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345"
        "67890123456789012345678901234567890123456789012345678901234567890123456789012345678901\"}"
        "}"};
    int i;
    long calls;
    for (i = 0; i < 3; ++i) {
        int reached = 0;
        for (calls = 0; calls < 20 && !reached; ++calls) {
            dynb_builder b;
            dynb_item item;
            dynb_rc rc;
            memset(&b, 0, sizeof b);
            b.allocator.resize_fn = alloc_resize;
            alloc_left = calls;
            rc = dynb_item_from_json(&b, texts[i], strlen(texts[i]), &item, &err);
            CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
            CHECK(rc == DYNB_OK || !strncmp(err.message, "no memory ", 10));
            reached = rc == DYNB_OK;
            alloc_left = -1;
            dynb_builder_free(&b);
            CHECK(alloc_blocks == 0);
        }
        CHECK(reached);
    }
}

/* The writer grows its memory as it goes; every growth may fail. */
static void test_writer(void)
{
    static uint8_t zeros[3000];
    const char *text;
    size_t length, i;
    dynb_item item, none = {NULL, 0};
    dynb_result r;
    long calls;
    int reached = 0;
    dynb_builder_begin(&builder);
    for (i = 0; i < 40; ++i) {
        char name[2] = {(char)('A' + i), 0};
        dynb_add_string(&builder, name, (const char *)zeros, 60); /* six times as long in JSON */
    }
    dynb_add_binary(&builder, "~", zeros, sizeof zeros);
    CHECK_INT(dynb_builder_finish(&builder, &item, &err), DYNB_OK);
    for (calls = 0; calls < 30 && !reached; ++calls) {
        memset(&r, 0, sizeof r);
        r.allocator.resize_fn = alloc_resize;
        alloc_left = calls;
        reached = !dynb_item_to_json(item, &r, &text, &length, &err);
        CHECK(reached ? text && length > 40 * 360 + 4000 : !text && !length);
        CHECK(reached || err.code == DYNB_NO_MEMORY);
        alloc_left = -1;
        dynb_result_free(&r);
        CHECK(alloc_blocks == 0);
    }
    CHECK(reached && calls > 2);
    CHECK_INT(dynb_item_to_json(none, &result, &text, &length, &err), DYNB_VALIDATION);
    CHECK(!text && !length);
    /* the parts by themselves */
    {
        dynbi_json_writer w = {&r, &err, DYNB_OK, 0};
        r.allocator.resize_fn = alloc_resize;
        CHECK_INT(dynbi_result_reserve(&r, &r.allocator, 1, &err), DYNB_OK);
        dynbi_json_open(&w, '{');
        dynbi_json_name(&w, "a", 1);
        dynbi_json_open(&w, '[');
        dynbi_json_literal(&w, "0", 1);
        dynbi_json_literal(&w, "18446744073709551615", 20);
        dynbi_json_literal(&w, "null", 4);
        dynbi_json_close(&w, ']');
        dynbi_json_name(&w, "b\"", 2);
        dynbi_json_string(&w, "x", 1);
        dynbi_json_close(&w, '}');
        dynbi_json_put(&w, "", 1);
        CHECK(!w.rc);
        CHECK_TEXT((const char *)r.memory, "{\"a\":[0,18446744073709551615,null],\"b\\\"\":\"x\"}");
        CHECK(dynbi_json_room(&w, (size_t)-1) == NULL && w.rc == DYNB_NO_MEMORY);
        w.rc = DYNB_OK;
        CHECK(dynbi_json_room(&w, (size_t)-1 / 2 + 1) == NULL && w.rc == DYNB_NO_MEMORY);
        CHECK(dynbi_json_room(&w, 1) == NULL); /* it sticks */
        dynb_result_free(&r);
        CHECK(alloc_blocks == 0);
    }
}

/* ---------------------------------------------------------------- random */

/* A text that gives an item gives the same one again, whatever it was. */
static int round_trip(const char *text, size_t length)
{
    dynb_item item, again;
    dynb_builder other;
    size_t out_length;
    const char *out;
    if (parse(text, length, &item)) {
        CHECK(err.pos <= length && (err.code == DYNB_SERIALIZATION || err.code == DYNB_VALIDATION));
        CHECK(memchr(err.path, 0, sizeof err.path) != NULL && err.message[0]);
        return 0;
    }
    CHECK_INT(dynb_item_check(item, &err), DYNB_OK);
    out = write_item(item, &out_length);
    memset(&other, 0, sizeof other);
    CHECK_INT(dynb_item_from_json(&other, out, out_length, &again, &err), DYNB_OK);
    CHECK(again.size_bytes == item.size_bytes && !memcmp(again.bytes, item.bytes, item.size_bytes));
    dynb_builder_free(&other);
    return 1;
}

static void test_damage(check_random *random)
{
    static const char *const texts[] = {
        "{\"Id\":{\"N\":\"1\"},\"tags\":{\"L\":[{\"S\":\"x\"},{\"M\":{\"b\":{\"BOOL\":true},\"a\":"
        "{\"NULL\":true}}},{\"SS\":[\"b\",\"a\"]}]},\"bin\":{\"B\":\"AQID\"}}",
        "{\"\\ud83d\\ude00\":{\"S\":\"\xc3\xa9\\n\xf0\x9f\x98\x80\"},\"n\":{\"NS\":[\"1.5\",\"-"
        "2e3\"]}}",
        "{\"e\":{\"M\":{}},\"l\":{\"L\":[{\"BS\":[\"\",\"Zg==\"]}]},\"z\":{\"BOOL\":\"no\",\"x\":["
        "1.5]}}"};
    static const char tokens[] = "{}[]\",:\\ 0truenlSNBLM\x80\x1f";
    size_t i, at;
    uint64_t round;
    for (i = 0; i < sizeof texts / sizeof *texts; ++i) {
        char text[300];
        size_t length = strlen(texts[i]);
        memcpy(text, texts[i], length);
        CHECK(round_trip(text, length));
        for (at = 0; at < length; ++at) {
            size_t k;
            CHECK(!round_trip(text, at));
            for (k = 0; k < sizeof tokens - 1; ++k) {
                text[at] = tokens[k];
                (void)round_trip(text, length);
            }
            text[at] = texts[i][at];
        }
        for (round = check_scaled(3000); round; --round) {
            int n = 1 + (int)check_below(random, 4);
            while (n--)
                text[check_below(random, length)] =
                    check_below(random, 2) ? tokens[check_below(random, sizeof tokens - 1)]
                                           : (char)check_next(random);
            (void)round_trip(text, length);
            memcpy(text, texts[i], length);
        }
    }
}

/* Strings of every kind of character survive both directions. */
static void test_strings(check_random *random)
{
    uint64_t round;
    for (round = check_scaled(3000); round; --round) {
        char text[300];
        size_t length = 0, n = check_below(random, 60), out_length, value_length;
        dynb_item item, again;
        dynb_builder other;
        const char *out;
        while (n--) {
            uint32_t c = (uint32_t)check_below(random, 5) ? 'a' + (uint32_t)check_below(random, 26)
                                                          : (uint32_t)check_below(random, 128);
            if (check_below(random, 12) == 0) {
                memcpy(text + length, "\xe2\x82\xac", 3);
                length += 3;
            } else {
                text[length++] = (char)c;
            }
        }
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "s", text, length);
        CHECK_INT(dynb_builder_finish(&builder, &item, &err), DYNB_OK);
        out = write_item(item, &out_length);
        memset(&other, 0, sizeof other);
        CHECK_INT(dynb_item_from_json(&other, out, out_length, &again, &err), DYNB_OK);
        out = dynb_value_string(dynb_item_get(again, "s"), &value_length);
        CHECK(value_length == length && !memcmp(out, text, length));
        dynb_builder_free(&other);
    }
}

/* Too big an item, and one whose map no longer fits while it is sorted. */
static void test_big(void)
{
    size_t i, length = 0;
    char *text = (char *)malloc(20u << 20);
    dynb_item item;
    length += (size_t)sprintf(text, "{\"a\":{\"S\":\"");
    for (i = 0; i < 409599; ++i)
        text[length++] = 'x';
    length += (size_t)sprintf(text + length, "\"}}");
    CHECK_INT(parse(text, length, &item), DYNB_OK);
    text[length - 3] = 'x';
    length += (size_t)sprintf(text + length - 2, "\"}}") - 2;
    CHECK_INT(parse(text, length, &item), DYNB_VALIDATION);
    CHECK_TEXT(err.message, "Item size has exceeded the maximum allowed size");
    length = (size_t)sprintf(text, "{\"m\":{\"M\":{\"b\":{\"S\":\"");
    for (i = 0; i < 9u << 20; ++i)
        text[length++] = 'x';
    length += (size_t)sprintf(text + length, "\"},\"a\":{\"NULL\":true}}}}");
    CHECK_INT(parse(text, length, &item), DYNB_VALIDATION);
    CHECK_TEXT(err.message, "Item size has exceeded the maximum allowed size");
    CHECK_INT(err.pos, 10);
    free(text);
}

int main(void)
{
    check_random random = {check_seed("unit_json")};
    test_good();
    test_malformed();
    test_classes();
    test_rules();
    test_depth();
    test_reader();
    test_no_memory();
    test_writer();
    test_damage(&random);
    test_strings(&random);
    test_big();
    dynb_builder_free(&builder);
    dynb_result_free(&result);
    return check_report("unit_json");
}
