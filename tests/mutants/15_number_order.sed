# 15: negative numbers sort as if they were positive.
# tests: unit_number
s/uint8_t flip = parts->is_negative ? 0xFFu : 0u;/uint8_t flip = parts->is_negative ? 0x00u : 0u;/
