/* undef_tpl.h -- forget the short names of vec_tpl.h, so that the next real type can define them again. */
#undef REAL
#undef INT
#undef VLEN
#undef INLINE
#undef V
#undef VU
#undef VI
#undef splat
#undef load
#undef store
#undef load_part
#undef store_part
#undef stream_out
#undef select
#undef vfma
#undef vmax
#undef vabs
