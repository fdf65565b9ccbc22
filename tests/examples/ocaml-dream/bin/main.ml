let port = try int_of_string (Sys.getenv "PORT") with Not_found -> 8080

let () =
  Dream.run ~interface:"0.0.0.0" ~port
  @@ Dream.router [ Dream.get "/" (fun _ -> Dream.respond "next ferry: 10:15") ]
