import mist

pub fn main() {
  let assert Ok(_) =
    handler
    |> mist.new
    |> mist.bind("0.0.0.0")
    |> mist.port(8000)
    |> mist.start
}
