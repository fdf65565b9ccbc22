//! What a file of Python imports, and the packages of PyPI that have it.

use std::rc::Rc;

use crate::detect::{Text, manifest, manifest::Value};

/// Modules that are imported, with their lines.
pub(super) fn imports(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix("from ") {
            let module = rest.split_whitespace().next().unwrap_or_default();
            if rest.contains(" import") {
                found.push((module, at + 1));
            }
        } else if let Some(rest) = line.strip_prefix("import ") {
            let names = rest.split(',').filter_map(|name| name.split_whitespace().next());
            found.extend(names.map(|name| (name.trim_end_matches(';'), at + 1)));
        }
        if found.len() > IMPORTS_MAX {
            break;
        }
    }
    found
}

/// Packages of PyPI for what files import, where no manifest says; modules that few use are not known.
pub(super) fn imported(files: &[Rc<Text>]) -> impl Iterator<Item = String> {
    let is_known = |module: &str| {
        files.iter().any(|file| file.text.contains(module) && imports_module(&file.text, module))
    };
    let rows = IMPORTED.iter().map(|row| row.split_once('=').unwrap_or((row, row)));
    rows.filter(move |(module, _)| is_known(module)).map(|(_, package)| package.replace('_', "-"))
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
