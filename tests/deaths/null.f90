! Writes to where a pointer of C leads.
program null
  use iso_c_binding
  integer(c_int), pointer :: number
  call c_f_pointer(transfer(0_c_intptr_t, c_null_ptr), number)
  number = 1
end program
