//! `--secret`: read before anything is built.

use std::path::PathBuf;

use crate::{
    build::read_bounded,
    cli::env::Environment,
    error::{Error, Kind},
    output::split_record,
    session::secrets::{SECRET_BYTES_MAX, Values},
    spec::{Secret, SecretTarget},
};

/// Where the value of a secret is.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Variable(String),
    /// A variable of that name, else a file, as with docker.
    Named(String),
}

/// Reads the values that the flags name.
pub(crate) fn load(flags: &[String], env: &Environment) -> Result<Values, Error> {
    let mut values = Values::default();
    for flag in flags {
        let (id, source) = parse(flag).map_err(|problem| {
            let text = format!("cannot understand `--secret {flag}`: {problem}");
            Error::new(Kind::Usage, text).hint(
                "`--secret id=ID,src=FILE` takes it from a file, `--secret id=ID,env=VARIABLE` from the environment",
            )
        })?;
        let value = value(&id, &source, env)?;
        if values.0.insert(id.clone(), value).is_some() {
            return Err(Error::new(Kind::Usage, format!("the secret `{id}` is given twice")));
        }
    }
    Ok(values)
}

/// Takes what the flags do not give from variables of the same names.
pub(crate) fn from_environment(needed: &[Secret], values: &mut Values, env: &Environment) {
    for secret in needed.iter() {
        let named = match &secret.target {
            SecretTarget::Env(name) => env.variable(name),
            SecretTarget::File(_) => None,
        };
        let value = named.or_else(|| env.variable(&secret.id));
        if let (false, Some(value)) = (values.0.contains_key(&secret.id), value) {
            values.0.insert(secret.id.clone(), value);
        }
    }
}

fn parse(flag: &str) -> Result<(String, Source), String> {
    let (mut id, mut kind, mut file, mut variable) = (None, None, None, None);
    for field in split_record(flag).map_err(|e| e.to_string())? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(format!("`{field}` is no KEY=VALUE"));
        };
        let place = match key.to_ascii_lowercase().as_str() {
            "id" => &mut id,
            "type" => &mut kind,
            "src" | "source" => &mut file,
            "env" => &mut variable,
            _ => return Err(format!("there is no key `{key}`")),
        };
        if place.replace(value.to_owned()).is_some() {
            return Err(format!("`{key}` is given twice"));
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or("it has no `id`")?;
    let source = match (kind.as_deref(), file, variable) {
        (_, Some(_), Some(_)) => return Err("both `src` and `env` are given".to_owned()),
        (None | Some("file"), Some(file), None) => Source::File(file.into()),
        // docker takes `type=env,src=NAME` so.
        (Some("env"), Some(name), None) | (None | Some("env"), None, Some(name)) => {
            Source::Variable(name)
        }
        (Some("env"), None, None) => Source::Variable(id.clone()),
        (Some("file"), None, None) => Source::File(id.clone().into()),
        (None, None, None) => Source::Named(id.clone()),
        (Some(kind), ..) => return Err(format!("there is no `type={kind}` here")),
    };
    Ok((id, source))
}

fn value(id: &str, source: &Source, env: &Environment) -> Result<Vec<u8>, Error> {
    let from_file = |path: &PathBuf| {
        read_bounded(path, SECRET_BYTES_MAX).map_err(|e| {
            let text = format!("cannot read the secret `{id}` from `{}`", path.display());
            Error::new(Kind::Usage, text).because(e)
        })
    };
    match source {
        Source::File(path) => from_file(path),
        Source::Variable(name) => env.variable(name).ok_or_else(|| {
            let text = format!("the variable `{name}` for the secret `{id}` is not set");
            Error::new(Kind::Usage, text)
        }),
        Source::Named(name) => {
            env.variable(name).map_or_else(|| from_file(&PathBuf::from(name)), Ok)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_a_file_or_in_a_variable() {
        let file = |name: &str| Source::File(name.into());
        let variable = |name: &str| Source::Variable(name.to_owned());
        for (flag, source) in [
            ("id=a,src=f", file("f")),
            ("type=file,id=a,source=f", file("f")),
            ("id=a,type=file", file("a")),
            ("id=a,env=B", variable("B")),
            ("id=a,type=env", variable("a")),
            ("id=a,type=env,src=B", variable("B")),
            ("id=a", Source::Named("a".to_owned())),
            (r#"id=a,"src=f,g""#, file("f,g")),
        ] {
            assert_eq!(parse(flag), Ok(("a".to_owned(), source)), "{flag}");
        }
    }

    #[test]
    fn what_is_no_secret_is_said() {
        for (flag, problem) in [
            ("src=f", "it has no `id`"),
            ("id=", "it has no `id`"),
            ("a", "`a` is no KEY=VALUE"),
            ("id=a,id=b", "`id` is given twice"),
            ("id=a,dest=b", "there is no key `dest`"),
            ("id=a,src=f,env=B", "both `src` and `env` are given"),
            ("id=a,type=ssh", "there is no `type=ssh` here"),
        ] {
            assert_eq!(parse(flag), Err(problem.to_owned()), "{flag}");
        }
    }
}
