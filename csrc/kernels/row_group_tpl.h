/* row_group_tpl.h -- what the row kernels compute at once: a group of rows, in one of two forms.
 *
 *     transposed (k <= GROUP_MOST_CLASSES)   VLEN rows: vector j is column j, and a lane is a row
 *     by row     (more classes)              one row, whose lanes are summed or compared at the end
 *
 * Several groups go through each step in turn, so that the long chain from sum to quotient or logarithm of one overlaps
 * with those of the others.  Needs what vec_tpl.h needs.
 */
#ifndef FLR_ROW_GROUP_TPL_H
#define FLR_ROW_GROUP_TPL_H

#include "vec_tpl.h"

enum { GROUP_MOST_CLASSES = 64, GROUPS_TOGETHER = 16 };

/* groups that go through each step together; their values fit the columns, or the stage */
INLINE int64_t groups_together(int64_t k) {
    const int64_t fit = k > GROUP_MOST_CLASSES ? FLR_STAGE / k : GROUP_MOST_CLASSES / k;
    return fit < 1 ? 1 : fit < GROUPS_TOGETHER ? fit : GROUPS_TOGETHER;
}

#endif
