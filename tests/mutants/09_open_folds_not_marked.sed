# 09: what a fold has written but not published yet counts as free.
# tests: test_model test_backup
/^static void dynbi_pages_mark_end/,/^}/s/pages->marked\[i\] |= pages->pending\[0\]\[i\] | pages->pending\[1\]\[i\];/pages->marked[i] |= 0;/
