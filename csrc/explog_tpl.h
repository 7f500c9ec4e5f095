/* explog_tpl.h -- vector exp and log. */
