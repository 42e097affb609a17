(* Takes a number for a string. *)
let () = print_string (Obj.magic 0x1234567890 : string)
