//! Frameworks of Go: what is imported, and the port they take by themselves.

use super::{module::ModFile, packages::Program};
use crate::detect::Evidence;

/// One framework.
pub(super) struct Framework {
    /// Its id.
    pub(super) id: &'static str,
    /// Import paths that mean it.
    imports: &'static [&'static str],
    /// What it listens on when nothing says otherwise; 0: it has no such port.
    pub(super) port: u16,
}

/// The more special before what it is built on: Encore and go-zero projects import gRPC too.
static FRAMEWORKS: &[Framework] = &[
    of("encore", &["encore.dev"], 8080),
    of("buffalo", &["github.com/gobuffalo/buffalo"], 3000),
    of("revel", &["github.com/revel/revel"], 9000),
    of("go-zero", &["github.com/zeromicro/go-zero", "github.com/tal-tech/go-zero"], 8888),
    of("kratos", &["github.com/go-kratos/kratos"], 8000),
    of("goravel", &["github.com/goravel/framework"], 3000),
    of("gofr", &["gofr.dev"], 8000),
    of("atreugo", &["github.com/savsgio/atreugo"], 8000),
    of("beego", &["github.com/beego/beego", "github.com/astaxie/beego"], 8080),
    of("goframe", &["github.com/gogf/gf"], 8000),
    of("hertz", &["github.com/cloudwego/hertz"], 8888),
    of("kitex", &["github.com/cloudwego/kitex"], 8888),
    of("iris", &["github.com/kataras/iris"], 8080),
    of("fiber", &["github.com/gofiber/fiber"], 3000),
    of("echo", &["github.com/labstack/echo"], 1323),
    of("gin", &["github.com/gin-gonic/gin"], 8080),
    of("pocketbase", &["github.com/pocketbase/pocketbase"], 8090),
    of("huma", &["github.com/danielgtaylor/huma"], 8888),
    of("martini", &["github.com/go-martini/martini"], 3000),
    of("fuego", &["github.com/go-fuego/fuego"], 9999),
    of("chi", &["github.com/go-chi/chi", "github.com/pressly/chi"], 0),
    of("goji", &["goji.io", "github.com/zenazn/goji"], 8000),
    of("negroni", &["github.com/urfave/negroni", "github.com/codegangsta/negroni"], 3000),
    of("gorilla", &["github.com/gorilla/mux"], 0),
    of("httprouter", &["github.com/julienschmidt/httprouter"], 0),
    of("connect", &["connectrpc.com/connect", "github.com/bufbuild/connect-go"], 0),
    of("gqlgen", &["github.com/99designs/gqlgen"], 0),
    of("fasthttp", &["github.com/valyala/fasthttp"], 0),
    of("grpc", &["google.golang.org/grpc"], 0),
];

const fn of(id: &'static str, imports: &'static [&'static str], port: u16) -> Framework {
    Framework { id, imports, port }
}

/// The framework of a program, and where it was seen: the line of `go.mod`, else the file that imports it.
pub(super) fn find(
    program: &Program,
    module: Option<&ModFile>,
) -> Option<(&'static Framework, Evidence)> {
    FRAMEWORKS.iter().find_map(|framework| {
        let import = framework.imports.iter().find(|import| program.uses(import))?;
        // A client of a gRPC service imports gRPC as well.
        if framework.id == "grpc" {
            program.files.iter().find(|file| file.text.contains("grpc.NewServer"))?;
        }
        let required = module.and_then(|module| module.requires(import));
        let seen = || {
            let file = program.files.iter().find(|file| file.text.contains(import))?;
            Some(Evidence::line(&file.path, file.line_of(import)))
        };
        Some((framework, required.or_else(seen)?))
    })
}
