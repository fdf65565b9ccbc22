//! What programs import: frameworks with the port they take by themselves.

use super::{module::ModFile, packages::Program};
use crate::detect::{framework::Known, prelude::*};

/// The more special before what it is built on: Encore and go-zero projects import gRPC too.
static FRAMEWORKS: &[Framework] = &[
    framework("encore", &["encore.dev"], 8080),
    framework("buffalo", &["github.com/gobuffalo/buffalo"], 3000),
    framework("revel", &["github.com/revel/revel"], 9000),
    framework("go-zero", &["github.com/zeromicro/go-zero", "github.com/tal-tech/go-zero"], 8888),
    framework("kratos", &["github.com/go-kratos/kratos"], 8000),
    framework("goravel", &["github.com/goravel/framework"], 3000),
    framework("gofr", &["gofr.dev"], 8000),
    framework("atreugo", &["github.com/savsgio/atreugo"], 8000),
    framework("beego", &["github.com/beego/beego", "github.com/astaxie/beego"], 8080),
    framework("goframe", &["github.com/gogf/gf"], 8000),
    framework("hertz", &["github.com/cloudwego/hertz"], 8888),
    framework("kitex", &["github.com/cloudwego/kitex"], 8888),
    framework("iris", &["github.com/kataras/iris"], 8080),
    framework("fiber", &["github.com/gofiber/fiber"], 3000),
    framework("echo", &["github.com/labstack/echo"], 1323),
    framework("gin", &["github.com/gin-gonic/gin"], 8080),
    framework("pocketbase", &["github.com/pocketbase/pocketbase"], 8090),
    framework("huma", &["github.com/danielgtaylor/huma"], 8888),
    framework("martini", &["github.com/go-martini/martini"], 3000),
    framework("fuego", &["github.com/go-fuego/fuego"], 9999),
    framework("chi", &["github.com/go-chi/chi", "github.com/pressly/chi"], 0),
    framework("goji", &["goji.io", "github.com/zenazn/goji"], 8000),
    framework("negroni", &["github.com/urfave/negroni", "github.com/codegangsta/negroni"], 3000),
    framework("gorilla", &["github.com/gorilla/mux"], 0),
    framework("httprouter", &["github.com/julienschmidt/httprouter"], 0),
    framework("connect", &["connectrpc.com/connect", "github.com/bufbuild/connect-go"], 0),
    framework("gqlgen", &["github.com/99designs/gqlgen"], 0),
    framework("fasthttp", &["github.com/valyala/fasthttp"], 0),
    framework("grpc", &["google.golang.org/grpc"], 0),
];

/// The framework of a program, seen at the line of `go.mod`, else in the file that imports it.
pub(super) fn known(program: &Program, module: Option<&ModFile>) -> Option<Known> {
    framework::find(FRAMEWORKS, |import| {
        // A client of a gRPC service imports gRPC as well.
        let is_client = import.ends_with("/grpc") && !program.has("grpc.NewServer");
        let is_used = program.uses(import) && !is_client;
        let required = || module?.requires(import);
        is_used.then(|| required().or_else(|| program.place(import)))?
    })
}

/// Whether it calls something that serves HTTP, gRPC or TCP; a method counts where the framework that has it is imported.
pub(super) fn serves(program: &Program) -> bool {
    let calls = |names: &[&str]| names.iter().any(|call| program.has(call));
    calls(SERVES) || calls(METHODS) && known(program, None).is_some()
}

/// Gives exporters of Prometheus the option with their address, whatever else they import.
pub(super) const TOOLKIT: &str = "github.com/prometheus/exporter-toolkit";

/// Calls and types of packages that serve, and calls with an address.
const SERVES: &[&str] = &[
    "ListenAndServe", "net.Listen(", "http.Serve(", "http.Server{", "grpc.NewServer", ".Run(\":",
    ".Run(\"0.0.0.0", ".Start(\":", "webflag.AddFlags(",
];
/// Methods of frameworks; others have methods of these names too.
const METHODS: &[&str] = &[
    ".Run()", ".Run(addr", ".Run(port", ".Run(fmt", ".Run(os.", ".Listen(", ".Start(", ".Spin()",
    "MustNewServer(",
];
