/* rows_tpl.h -- the softmax family over rows, and the losses. */
