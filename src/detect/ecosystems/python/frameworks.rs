//! Frameworks: what shows that one is used, and how its applications are run.

use super::{
    candidate::{Candidate, Module},
    imports::assignment,
    server,
    version::PYTHON,
};
use crate::detect::{paths::below, prelude::*};

/// What the row of a framework says beside its packages, its port and its environment, which may hold `{port}`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    /// Modules that are imported, where none is called like a package.
    pub(super) modules: &'static [&'static str],
    /// Calls that make the application; of a framework without any the import is enough.
    pub(super) calls: &'static [&'static str],
    /// What a file holds, one of them, that uses more than its helpers.
    pub(super) uses: &'static [&'static str],
    pub(super) serve: Serve,
    /// Command line for a file that makes no object which a server could take.
    pub(super) bare: &'static str,
    /// For what a row cannot say; it gives the command line, or nothing where that of the row is right.
    pub(super) code: Option<Code>,
}

type Code = fn(&mut Candidate<'_>, &App, &mut Module) -> Option<String>;

/// How an application is served. Command lines may hold what [`server::line`] fills, `{file}`, and `{script}` for running
/// the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serve {
    /// By a server for WSGI.
    Wsgi,
    /// By a server for ASGI.
    Asgi,
    /// By the server that the framework brings along.
    Brings(&'static str),
    /// By a command of its own.
    Line(&'static str),
    /// The file is run and listens on its own.
    Script,
    /// The command line takes work from elsewhere and does not listen.
    Work(&'static str),
}

use Serve::{Asgi, Brings, Line, Script, Work, Wsgi};

const fn line(line: &'static str) -> Own {
    own(Line(line), &[])
}

const fn own(serve: Serve, calls: &'static [&'static str]) -> Own {
    Own { modules: &[], calls, uses: &[], serve, bare: "{script}", code: None }
}

/// In the order in which they are looked for in one file: what stands on another comes before it.
pub(super) static FRAMEWORKS: &[Framework<Own>] = &[
    framework("reflex", &["reflex"], 3000).own(own(
        Line("reflex run --env prod --single-port --backend-host 0.0.0.0 --backend-port $PORT"),
        &["rx.App(", "reflex.App("],
    )),
    framework("dash", &["dash"], 8050)
        .own(Own { code: Some(dash), ..own(Line("{script}"), &["Dash("]) }),
    framework("fasthtml", &["python-fasthtml"], 5001)
        .own(Own { modules: &["fasthtml"], ..own(Brings("uvicorn"), &["fast_app(", "FastHTML("]) }),
    framework("connexion", &["connexion"], 8080).own(own(Wsgi, &["FlaskApp(", "connexion.App("])),
    framework("fastapi", &["fastapi"], 8000).own(own(Asgi, &["FastAPI("])),
    framework("litestar", &["litestar", "starlite"], 8000)
        .own(own(Asgi, &["Litestar(", "Starlite("])),
    framework("blacksheep", &["blacksheep"], 8000).own(own(Asgi, &["Application("])),
    framework("quart", &["quart"], 5000).own(own(Brings("hypercorn"), &["Quart("])),
    framework("sanic", &["sanic"], 8000).own(own(Brings("sanic"), &["Sanic("])),
    framework("robyn", &["robyn"], 8080)
        .own(own(Line("{script}"), &["Robyn("]))
        .env(&[("ROBYN_HOST", "0.0.0.0"), ("ROBYN_PORT", "{port}")]),
    framework("apiflask", &["apiflask"], 5000).own(own(Wsgi, &["APIFlask("])),
    framework("eve", &["eve"], 5000).own(own(Wsgi, &["Eve("])),
    framework("flask", &["flask"], 5000).own(own(Wsgi, &["Flask("])),
    framework("starlette", &["starlette"], 8000).own(own(Asgi, &["Starlette("])),
    framework("falcon", &["falcon"], 8000).own(own(Wsgi, &["App(", "API("])),
    framework("bottle", &["bottle"], 8080).own(own(Wsgi, &["Bottle(", "default_app("])),
    framework("panther", &["panther"], 8000).own(own(Asgi, &["Panther("])),
    framework("responder", &["responder"], 5042).own(own(Asgi, &["responder.API("])),
    framework("emmett", &["emmett", "emmett55"], 8000)
        .own(own(Line("emmett -a {file} serve {listen}"), &["App("])),
    framework("microdot", &["microdot"], 5000).own(own(Script, &["Microdot("])),
    framework("klein", &["klein"], 8080).own(own(Script, &["Klein("])),
    framework("web.py", &["web-py"], 8080)
        .own(Own { modules: &["web"], ..own(Script, &["web.application("]) }),
    framework("cherrypy", &["cherrypy"], 8080).own(own(Script, &[])),
    framework("aiohttp", &["aiohttp"], 8080).own(own(Script, &["web.Application("])),
    framework("tornado", &["tornado"], 8888).own(own(Script, &["Application("])),
    framework("pyramid", &["pyramid"], 6543)
        .own(Own { code: Some(pyramid), ..own(Script, &["Configurator("]) }),
    framework("chainlit", &["chainlit"], 8000)
        .own(Own { code: Some(chainlit), ..line("chainlit run {file} {listen} --headless") }),
    framework("streamlit", &["streamlit"], 8501)
        .own(Own { code: Some(streamlit), ..line(STREAMLIT) })
        .env(&[("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false"), ("HOME", "/tmp")]),
    framework("nicegui", &["nicegui"], 8080)
        .own(line("{script}"))
        .env(&[("NICEGUI_STORAGE_PATH", "/tmp/nicegui")]),
    framework("gradio", &["gradio"], 7860)
        .own(Own { uses: &["launch(", "Blocks(", "Interface("], ..line("{script}") })
        .env(&[("GRADIO_SERVER_NAME", "0.0.0.0"), ("GRADIO_SERVER_PORT", "{port}")]),
    framework("mesop", &["mesop"], 32123).own(line("gunicorn --bind 0.0.0.0:$PORT {module}:me")),
    framework("solara", &["solara"], 8765).own(line("solara run {file} {listen} --production")),
    framework("shiny", &["shiny"], 8000).own(line("shiny run {listen} {file}")),
    framework("panel", &["panel"], 5006).own(line(PANEL)),
    framework("marimo", &["marimo"], 2718)
        .own(own(Line("marimo run {file} {listen} --headless"), &["marimo.App("]))
        .env(&[("HOME", "/tmp")]),
    framework("taipy", &["taipy", "taipy-gui"], 5000)
        .own(own(Line("taipy run {file} {listen} --no-reloader"), &["Gui("])),
    // One without `manage.py`.
    framework("django", &["django"], 8000)
        .own(own(Wsgi, &["get_wsgi_application(", "get_asgi_application("])),
    framework("celery", &["celery"], 0)
        .own(own(Work("celery --app {module} worker --loglevel info"), &["Celery("])),
    framework("discord.py", &["discord-py", "discord", "py-cord", "nextcord", "disnake"], 0)
        .own(own(Work("{script}"), &[])),
    framework("python-telegram-bot", &["python-telegram-bot"], 0)
        .own(Own { modules: &["telegram"], ..own(Work("{script}"), &[]) }),
    framework("aiogram", &["aiogram"], 0).own(own(Work("{script}"), &[])),
];

const STREAMLIT: &str =
    "streamlit run {file} --server.address=0.0.0.0 --server.port=$PORT --server.headless=true";
const PANEL: &str =
    "panel serve {file} --address 0.0.0.0 --port $PORT --allow-websocket-origin='*'";

/// The application that was found.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) framework: &'static Framework<Own>,
    /// What its row says.
    pub(super) own: Own,
    /// Relative to the root of the tree.
    pub(super) file: String,
    pub(super) line: usize,
    /// What the module calls it: `app`; empty where the file is run.
    pub(super) object: String,
    /// Whether `object` is a function that makes it.
    pub(super) is_factory: bool,
    /// Falcon has a class of one name for each interface.
    pub(super) is_asgi: bool,
}

impl App {
    /// Where it is made.
    pub(super) fn place(&self) -> Evidence {
        Evidence::line(&self.file, Some(self.line))
    }

    /// Whether it takes work from elsewhere.
    pub(super) fn is_worker(&self) -> bool {
        matches!(self.own.serve, Work(_))
    }

    /// Starts it.
    pub(super) fn start(&self, c: &mut Candidate<'_>) {
        let mut module = c.module(&self.file);
        let own = self.own.code.and_then(|code| code(c, self, &mut module));
        let template = own.unwrap_or_else(|| self.template(c));
        let file = quote(below(&module.run_dir, &self.file));
        let line = server::line(&template, &module, &self.object, self.is_factory)
            .replace("{script}", &c.script(&self.file, &module))
            .replace("{file}", &file);
        c.start(&line, Rule::ApplicationOf(self.framework.id), [self.place()], &module);
        c.app = Some(module.name);
        self.started(c);
    }

    /// Takes its port, its health and what its framework wants.
    pub(super) fn started(&self, c: &mut Candidate<'_>) {
        if !self.is_worker() {
            c.facts.port(self.port(c));
            c.health();
        }
        let port = c.facts.port_number().unwrap_or_default().to_string();
        for (name, value) in self.framework.env {
            c.facts.env(name, value.replace("{port}", &port));
        }
    }

    fn template(&self, c: &mut Candidate<'_>) -> String {
        let line = match self.own.serve {
            Wsgi | Asgi | Brings(_) if self.object.is_empty() => self.own.bare,
            Wsgi if !self.is_asgi => {
                let others: &[_] =
                    if self.is_factory { &["uwsgi"] } else { &["uwsgi", "waitress"] };
                let line = server::choose(c, "gunicorn", others);
                // Connections stay with the process that has them.
                if c.manifest.has("flask-socketio") {
                    return line.replace("{call}", "--workers 1 --threads 100 {call}");
                }
                line
            }
            Wsgi | Asgi if self.is_factory => server::choose(c, "uvicorn", &["granian"]),
            Wsgi | Asgi => server::choose(c, "uvicorn", &["hypercorn", "granian"]),
            Brings(server) => server::of(server),
            Line(line) | Work(line) => line,
            Script => "{script}",
        };
        line.to_owned()
    }

    /// What the file that is run says, else what the framework does.
    fn port(&self, c: &Candidate<'_>) -> Port {
        let of = |is_one: &dyn Fn(&Text) -> bool| {
            let files = c.files.iter().filter(|file| is_one(file)).cloned();
            source::ports(&files.collect::<Vec<_>>(), PYTHON.listens)
        };
        // Elsewhere only what is said together with `PORT`, where the application is run.
        let elsewhere = || {
            let found = of(&|file| file.text.contains(".run("));
            found.number.filter(|_| found.env.is_some())
        };
        let constant = || {
            let is_script = self.own.serve == Script;
            c.files.iter().filter(|_| is_script).find_map(|file| {
                file.lines().find_map(|(at, line)| {
                    let (name, value) = assignment(line)?;
                    let is_one =
                        ["DEFAULT_PORT", "HTTP_PORT", "SERVER_PORT", "PORT"].contains(&name);
                    let number = value.trim().parse().ok().filter(|_| is_one)?;
                    Some((number, Evidence::line(&file.path, Some(at))))
                })
            })
        };
        let own = of(&|file| file.path == self.file).number.or_else(elsewhere).or_else(constant);
        let Framework { id, port, .. } = *self.framework;
        Port::told_or(own, Fixed::PortInSource, port, Rule::DefaultOf(id.to_owned()))
    }
}

/// The server within an application of Dash, by gunicorn when that is there; else the file is run.
fn dash(c: &mut Candidate<'_>, app: &App, _: &mut Module) -> Option<String> {
    let text = c.at.project.tree.read(&app.file)?;
    let server = text.text.lines().find_map(|line| {
        let (name, value) = assignment(line)?;
        let is_server = value.ends_with(".server");
        is_server.then(|| format!("gunicorn --bind 0.0.0.0:$PORT {{module}}:{name}"))
    });
    let server = server.filter(|_| c.manifest.has("gunicorn"));
    if server.is_none() {
        c.facts.env("HOST", "0.0.0.0");
    }
    server
}

/// What `pserve` reads, where there are settings for it.
fn pyramid(c: &mut Candidate<'_>, _: &App, module: &mut Module) -> Option<String> {
    let settings = c.at.first_of(&["production.ini", "development.ini"])?;
    module.run_dir = c.at.dir.to_owned();
    c.needs_project = c.manifest.has_setup;
    Some(format!("pserve {settings} http_host=0.0.0.0 http_port=$PORT"))
}

/// It writes its settings and uploads beside the program.
fn chainlit(c: &mut Candidate<'_>, _: &App, module: &mut Module) -> Option<String> {
    let opens = "mkdir -p .chainlit/translations .files && touch chainlit.md && \
                 chmod -R a+rwX .chainlit .files chainlit.md";
    c.last.push(Step::new(Kind::Build, &module.run_dir, opens));
    None
}

/// It answers at a path of its own.
fn streamlit(c: &mut Candidate<'_>, _: &App, _: &mut Module) -> Option<String> {
    c.facts.health("/_stcore/health", Fixed::PathOfStreamlit, []);
    None
}
