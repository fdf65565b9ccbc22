open Giraffe
let webApp = route "/" >=> text "steeping"
