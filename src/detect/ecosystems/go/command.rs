//! Arguments without which a program of several commands only prints its help.

use super::{framework::serves, module::ModFile, packages::Program};
use crate::detect::prelude::*;

const POCKETBASE: &str = "github.com/pocketbase/pocketbase";

/// Where PocketBase listens.
pub(super) const POCKETBASE_PORT: u16 = 8090;

/// Whether the program is PocketBase, or one built on it.
pub(super) fn is_pocketbase(program: &Program, module: Option<&ModFile>) -> bool {
    program.uses(POCKETBASE) || module.is_some_and(|module| module.module == POCKETBASE)
}

/// The arguments of a program, and where they were seen.
///
/// The arguments in the project's own image count first; then a program whose first command runs by itself needs none;
/// then the command that is called like a server.
pub(super) fn arguments(
    root: Folder<'_>,
    program: &Program,
    module: Option<&ModFile>,
) -> (Vec<String>, Option<Evidence>) {
    if is_pocketbase(program, module) {
        let address = format!("--http=0.0.0.0:{POCKETBASE_PORT}");
        return (vec!["serve".to_owned(), address], None);
    }
    let by_hand = BY_HAND.iter().any(|first| program.has(first));
    if !by_hand && !has_commands(program) {
        return Default::default();
    }
    let folders = [program.dir.as_str(), root.dir];
    let [main, above] = folders.map(|dir| last_part(dir).unwrap_or_default());
    let names = [main, above, module.map(ModFile::name).unwrap_or_default()];
    let of_image = folders.into_iter().find_map(|dir| {
        let text = Folder::new(root.project, dir).read("Dockerfile")?;
        Some((of_dockerfile(&text.text, &names)?, Some(Evidence::file(&text.path))))
    });
    let has_arguments = of_image.as_ref().is_some_and(|(words, _)| !words.is_empty());
    let is_silent =
        || !serves(program) || program.files.iter().any(|file| runs_itself(&file.text, &names));
    if has_arguments || is_silent() {
        return of_image.unwrap_or_default();
    }
    // Whoever runs an image without arguments gives them by hand.
    let marks = ["Use:", "Name:", "cmd:\"", "command:\"", ".Command(", "case \""];
    let is_likely = |file: &&Rc<Text>| marks.iter().any(|mark| file.text.contains(mark));
    let likely: Vec<_> = program.files.iter().filter(is_likely).collect();
    let found = COMMANDS.iter().find_map(|name| {
        let file = likely.iter().find(|file| declares(&file.text, name, by_hand))?;
        Some((vec![(*name).to_owned()], Some(Evidence::file(&file.path))))
    });
    found.or(of_image).unwrap_or_default()
}

/// Whether the program imports a library that reads commands.
pub(super) fn has_commands(program: &Program) -> bool {
    LIBRARIES.iter().any(|library| program.imports_part(library))
}

/// Arguments of the program that the last stage of a `Dockerfile` starts: both instructions in exec form, plain words, and
/// no script in between that would choose others.
fn of_dockerfile(text: &str, names: &[&str]) -> Option<Vec<String>> {
    let stage = text.rfind("\nFROM ").map_or(text, |at| &text[at..]);
    let words = |name: &str| -> Option<Vec<String>> {
        let line = stage.lines().rev().find_map(|line| {
            let (first, rest) = line.trim().split_once(char::is_whitespace)?;
            first.eq_ignore_ascii_case(name).then_some(rest.trim())
        })?;
        let inner = line.strip_prefix('[')?.strip_suffix(']')?;
        let words = inner.split(',').map(|word| word.trim().trim_matches('"').to_owned());
        Some(words.filter(|word| !word.is_empty()).collect())
    };
    let all = ["ENTRYPOINT", "CMD"].into_iter().flat_map(|name| words(name).unwrap_or_default());
    let mut rest = all.skip_while(|word| INITS.contains(&file_name(word)));
    let first = rest.next()?;
    let name = file_name(&first);
    let is_it = names.contains(&name) || ANY_NAMES.contains(&name);
    let is_plain = |word: &String| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_=:.,/".contains(c);
        // What the image has at an absolute path is not there in this one.
        word.chars().all(fits) && !word.starts_with('/') && !word.contains("=/")
    };
    let rest: Vec<String> = rest.collect();
    (is_it && rest.iter().all(is_plain)).then_some(rest)
}

/// Whether the command that is called like the program does something by itself.
fn runs_itself(text: &str, names: &[&str]) -> bool {
    let of_cobra = text.match_indices("cobra.Command{").take(COMMANDS_MAX).any(|(at, mark)| {
        let literal = text[at + mark.len()..].split(mark).next().unwrap_or_default();
        let used = literal.split("Use:").nth(1).and_then(|rest| rest.split('"').nth(1));
        let used = used.and_then(|used| used.split_whitespace().next()).unwrap_or_default();
        let runs = literal.contains("Run:") || literal.contains("RunE:");
        let helps = literal.contains(".Help()") || literal.contains(".Usage()");
        runs && !helps && (names.contains(&used) || is_root(&text[..at]))
    });
    of_cobra || text.contains("app.Action = ") || text.contains("Action: run,") || acts(text)
}

/// Whether the application of urfave/cli itself has an action: a field of its literal, not of one within.
fn acts(text: &str) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines();
    while let Some(line) = lines.find(|line| line.contains("cli.App{")) {
        let own = indent(line) + 1;
        let mut fields =
            lines.clone().take_while(|line| line.trim().is_empty() || indent(line) >= own);
        if fields.any(|line| indent(line) == own && line.trim_start().starts_with("Action:")) {
            return true;
        }
    }
    false
}

/// `var rootCmd = &`
fn is_root(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default().to_ascii_lowercase();
    line.trim_start_matches(['\t', ' ']).starts_with("var root") || line.contains("rootcmd")
}

/// Whether a text declares a command of that name, in the ways of the libraries.
fn declares(text: &str, name: &str, by_hand: bool) -> bool {
    // Most texts do not: reading them line by line takes time.
    if !text.to_ascii_lowercase().contains(name) {
        return false;
    }
    let quoted = format!("\"{name}\"");
    let mut above = "";
    let is_it = |line: &str, above: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            // Options have names too.
            [field, value, ..] if is_name(field) && !above.contains("Flag{") => {
                value.trim_end_matches([',', '}']) == quoted
                    || value.strip_prefix('"') == Some(name)
            }
            // kong: `Serve ServeCmd `cmd:""``
            [field, _, tag, ..] if tag.contains("cmd:\"") => field.eq_ignore_ascii_case(name),
            [_, _, tag, ..] if tag.contains(&format!("command:{quoted}")) => true,
            ["case", value, ..] => by_hand && value.trim_end_matches([':', ',']) == quoted,
            _ => line.contains(&format!(".Command({quoted}")),
        }
    };
    text.lines().any(|line| {
        let above = std::mem::replace(&mut above, line);
        !source::is_comment(line) && is_it(line, above)
    })
}

/// `Use:`, `Name:`, or the first field of a literal on one line: `{Name:`, `&cli.Command{Name:`.
fn is_name(field: &str) -> bool {
    let (literal, field) = field.rsplit_once('{').unwrap_or(("", field));
    matches!(field, "Use:" | "Name:") && !literal.ends_with("Flag")
}

/// How programs without such a library read their first argument.
const BY_HAND: &[&str] = &["os.Args[1]", "flag.Arg(0)", "flag.Args()[0]", ".ShiftCommand("];
/// Parts of the import paths of libraries that read commands.
const LIBRARIES: &[&str] = &["cobra", "cli", "kong", "kingpin", "subcommands", "ffcli", "go-flags"];
/// Names of the command that serves, the likeliest first.
const COMMANDS: &[&str] =
    &["serve", "server", "web", "api", "http", "start", "daemon", "listen", "run"];
/// Programs that start another.
const INITS: &[&str] = &["tini", "dumb-init", "--", "catatonit", "-g"];
/// Names that images give any program.
const ANY_NAMES: &[&str] = &["app", "main", "server", "service", "bin", "binary", "api", "web"];
const COMMANDS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutation::mutate;

    #[test]
    fn an_image_says_with_which_arguments_it_is_started() {
        let check = |text: &str, want: Option<&[&str]>| {
            let want: Option<Vec<String>> =
                want.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(of_dockerfile(text, &["blocky", "x"]), want, "{text}");
        };
        check("FROM a\nFROM b\nENTRYPOINT [\"/app/blocky\"]\nCMD [\"serve\"]\n", Some(&["serve"]));
        check("FROM b\nENTRYPOINT [\"tini\", \"--\", \"/x\", \"web\"]\n", Some(&["web"]));
        check("FROM b\nCMD [\"./server\", \"-config=conf.yaml\"]\n", Some(&["-config=conf.yaml"]));
        check("FROM b\nCMD [\"./server\"]\n", Some(&[]));
        check("FROM b\nCMD [\"./server\", \"-c\", \"/etc/server.conf\"]\n", None);
        check("FROM b\nENTRYPOINT [\"/entry.sh\"]\nCMD [\"minio\"]\n", None);
        check("FROM b\nCMD ./server serve\n", None);
        check("FROM b\nCMD [\"nginx\", \"serve\"]\n", None);
        check("FROM b\n", None);
    }

    #[test]
    fn a_root_command_that_runs_needs_no_other() {
        let runs = |text: &str| runs_itself(text, &["memos"]);
        assert!(runs("x = &cobra.Command{\n\tUse: \"memos\",\n\tRunE: func() {},\n}"));
        assert!(runs("var rootCmd = &cobra.Command{\n\tUse: \"m\",\n\tRun: run,\n}"));
        assert!(!runs(
            "x = &cobra.Command{\n\tUse: \"memos\",\n}\n&cobra.Command{Use: \"serve\", Run: f}"
        ));
        assert!(!runs("x = &cobra.Command{\n\tUse: \"memos\",\n\tRun: func() { cmd.Help() },\n}"));
        assert!(!runs("x = &cobra.Command{\n\tUse: \"other\",\n\tRun: f,\n}"));
    }

    #[test]
    fn commands_are_declared_in_the_ways_of_their_libraries() {
        let check = |text: &str, want| assert_eq!(declares(text, "serve", true), want, "{text}");
        check("\tUse:   \"serve\",", true);
        check("\tUse: \"serve [port]\",", true);
        check("\tName:   \"serve\",", true);
        check("\tServe ServeCmd `cmd:\"\" help:\"x\"`", true);
        check("\tServerCmd cmd.ServeCommand `command:\"serve\"`", true);
        check("app.Command(\"serve\", \"starts\")", true);
        check("\tcase \"serve\":", true);
        check("\tUse: \"server\",", false);
        check("\t{Name: \"serve\", Action: run},", true);
        check("\t&cli.Command{Name: \"serve\"},", true);
        check("\t&cli.StringFlag{Name: \"serve\"},", false);
        check("&cli.StringFlag{\n\tName: \"serve\",\n}", false);
        check("// Use: \"serve\"", false);
        check("x := \"serve\"", false);
    }

    #[test]
    fn an_application_with_an_action_of_its_own_needs_no_command() {
        assert!(acts("app := &cli.App{\n\tName: \"x\",\n\tAction: start,\n}"));
        assert!(acts("\tx := cli.App{\n\t\tFlags: f,\n\n\t\tAction:  func() {\n\t\t},\n\t}"));
        assert!(!acts("&cli.App{\n\tCommands: {\n\t\tAction: x,\n\t},\n}\nz{\n\tAction: y,\n}"));
        assert!(!acts("var c = &cli.Command{\n\tName: \"serve\",\n\tAction: x,\n}"));
    }

    #[test]
    fn no_text_makes_it_panic() {
        let seed =
            "FROM é\nENTRYPOINT [\"a\", \"-x\"]\nvar root = cobra.Command{ Use: \"a\"\nRun:\n}";
        mutate(seed.as_bytes(), b"\"[],\n:{} \xc3", 3000, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            drop(of_dockerfile(&text, &["a"]));
            assert!(!runs_itself(&text, &[]) || text.contains("un"));
            assert!(!declares(&text, "\u{0}", true));
        });
    }
}
