//! What a file of Python imports, and the packages of PyPI that have it.

use std::rc::Rc;

use crate::{
    detect::Text,
    manifest::{self, Value},
};

/// Modules that are imported, with their lines.
pub(super) fn imports<'t>(text: &'t str) -> Vec<(&'t str, usize)> {
    let of_line = |(at, line): (usize, &'t str)| {
        let line = line.trim_start();
        let from = line.strip_prefix("from ").filter(|rest| rest.contains(" import"));
        let names = from.or_else(|| line.strip_prefix("import ")).unwrap_or_default();
        let names = names.split(',').take(if from.is_some() { 1 } else { IMPORTS_MAX });
        let names = names.filter_map(|name| name.split_whitespace().next());
        names.map(move |name| (name.trim_end_matches(';'), at + 1))
    };
    text.lines().enumerate().flat_map(of_line).take(IMPORTS_MAX).collect()
}

/// Packages of PyPI for what files import, where no manifest says; modules that few use are not known.
pub(super) fn imported(files: &[Rc<Text>]) -> impl Iterator<Item = String> {
    let is_known = |module: &str| {
        files.iter().any(|file| file.text.contains(module) && imports_module(&file.text, module))
    };
    let rows = IMPORTED.iter().map(|row| row.split_once('=').unwrap_or((row, row)));
    rows.filter(move |(module, _)| is_known(module)).map(|(_, package)| package.replace('_', "-"))
}

/// The text in the quotes that a text begins with.
pub(in crate::detect::ecosystems) fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    text[1..].split([quote, '\n']).next()
}

/// Name and value of an assignment at the start of a line: `app = Flask(__name__)`, `app: Flask = Flask(__name__)`.
pub(super) fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.split(':').next().unwrap_or(name).trim_end();
    is_name(name).then_some((name, value.trim()))
}

/// Whether a text can be the name of a variable, a function or a class.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What a program says of itself in a comment: <https://peps.python.org/pep-0723/>.
pub(super) fn inline(text: &str) -> Option<Value> {
    let lines = text.lines().skip_while(|line| line.trim_end() != "# /// script").skip(1);
    let block: Vec<&str> = lines
        .take_while(|line| line.trim_end() != "# ///")
        .map_while(|line| line.strip_prefix('#'))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    (!block.is_empty()).then_some(())?;
    manifest::toml(&block.join("\n")).ok()
}

/// Modules, with the package of PyPI where that has another name; `_` stands for `-` there.
const IMPORTED: &[&str] = &[
    "PIL=pillow", "aiohttp", "anthropic", "boto3", "bs4=beautifulsoup4",
    "cv2=opencv-python-headless", "dotenv=python-dotenv", "flask_cors", "flask_login",
    "flask_sqlalchemy", "httpx", "jinja2", "jwt=pyjwt", "matplotlib", "numpy", "openai", "pandas",
    "plotly", "psutil", "psycopg2=psycopg2-binary", "pydantic", "pymongo", "pymysql", "redis",
    "requests", "scipy", "sklearn=scikit-learn", "sqlalchemy", "websockets", "yaml=pyyaml",
];

/// Whether the file imports this package.
pub(super) fn imports_module(text: &str, module: &str) -> bool {
    imports(text).iter().any(|(name, _)| name.split('.').next() == Some(module))
}

const IMPORTS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn what_a_program_says_of_itself_is_read() {
        let text =
            "#!/x\n# /// script\n# dependencies = [\n#   'flask',\n# ]\n# ///\nimport flask\n";
        let found = inline(text).unwrap();
        assert_eq!(found.get("dependencies").unwrap().texts(), ["flask"]);
        assert!(inline("# /// script\n").is_none() && inline("x").is_none());
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed = "# /// script\n# dependencies = ['é']\n# ///\nimport a, b.c; from d import e\n";
        mutate(seed.as_bytes(), b"# /\n=[]'\xc3", 3000, |data| {
            let text = String::from_utf8_lossy(data).into_owned();
            drop(inline(&text));
            let file = Rc::new(Text { path: "app.py".into(), text });
            assert!(imported(&[file]).count() <= IMPORTED.len());
        });
    }
}
