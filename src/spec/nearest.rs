//! The name that was probably meant.

/// The candidate nearest to `word`, if any is near enough to be a slip of the finger.
///
/// Near is one change (insertion, deletion, replacement, swap of neighbours) for every three
/// characters, at least one; capitals do not count. Of equally near ones the first wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word = word.to_lowercase();
    let near = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= WORD_BYTES_MAX)
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= near)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The distance costs the product of both lengths; nobody mistypes a longer name.
const WORD_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let names = ["packages", "commands", "command", "env", "health", "copy"];
        assert_eq!(nearest(word, names), expected, "{word}");
    }

    #[test]
    fn only_a_near_name_is_offered() {
        check("package", Some("packages"));
        check("comands", Some("commands"));
        check("comand", Some("command"));
        check("Env", Some("env"));
        check("evn", Some("env"));
        check("helath", Some("health"));
        check("environment", None);
        check("x", None);
        check("", None);
        check(&"packages".repeat(1000), None);
    }
}
