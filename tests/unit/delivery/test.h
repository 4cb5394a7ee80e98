/* test.h: what cmocka wants before its own header. */
#ifndef TESTS_UNIT_DELIVERY_TEST_H
#define TESTS_UNIT_DELIVERY_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
