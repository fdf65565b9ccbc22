//! Properties over generated builds: nothing lost, nothing twice, nothing unbounded.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::fixture::{Sequence, Written};
use super::log::{LOG_TAIL_BYTES_MAX, LOG_TAIL_LINES_MAX};
use super::*;
use crate::mutation::Random;

/// A build of a few vertexes that run beside each other, write lines in pieces, end and start
/// again, on a stream that breaks now and then; and the lines by vertex and stream.
fn generated(random: &mut Random) -> (String, BTreeMap<String, Vec<String>>) {
    let mut text = String::new();
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut now_ms = 0;
    let vertexes = 1 + random.below(5);
    for vertex in 0..vertexes {
        let _ = writeln!(text, "0 vertex v{vertex} \"[svc] step {vertex}\"");
        let _ = writeln!(text, "0 start v{vertex}");
    }
    let mut serial = 0;
    let mut running = vec![true; vertexes];
    for _ in 0..random.below(120) {
        now_ms += random.below(700) as u64;
        let seconds = now_ms as f64 / 1000.0;
        let vertex = random.below(vertexes);
        let stream = ["out", "err"][random.below(2)];
        match random.below(12) {
            0 => {
                let event = if running[vertex] { "done" } else { "start" };
                running[vertex] = !running[vertex];
                let _ = writeln!(text, "{seconds} {event} v{vertex}");
            }
            1 => text += &format!("{seconds} replay\n"),
            2 => text += &format!("{seconds} status v{vertex} task{serial} {serial} 100\n"),
            3 => text += &format!("{seconds} transfer context {serial} 0 {now_ms}\n"),
            _ if !running[vertex] => {}
            _ => {
                serial += 1;
                let line = format!("line {serial} of v{vertex}.");
                let cut = random.below(line.len());
                let later = now_ms + random.below(3000) as u64;
                let rest = later as f64 / 1000.0;
                let _ = writeln!(text, "{seconds} {stream} v{vertex} \"{}\"", &line[..cut]);
                let _ = writeln!(text, "{rest} {stream} v{vertex} \"{}\\n\"", &line[cut..]);
                now_ms = later;
                said.entry(format!("v{vertex} {stream}")).or_default().push(line);
            }
        }
    }
    for vertex in (0..vertexes).filter(|&vertex| running[vertex]) {
        let _ = writeln!(text, "{} done v{vertex}", now_ms as f64 / 1000.0);
    }
    (text, said)
}

/// The text of each log line in a plain transcript, in order.
fn log_lines(transcript: &str) -> Vec<String> {
    let lines = transcript.lines().filter_map(|line| {
        let (_, rest) = line.strip_prefix('#')?.split_once(' ')?;
        let (time, text) = rest.split_once(' ')?;
        time.parse::<f64>().ok().map(|_| text.to_owned())
    });
    lines.collect()
}

#[test]
fn plain_shows_every_line_once_and_in_order_whatever_happens_to_the_stream() {
    let mut random = Random::new(1);
    for round in 0..300 {
        let (text, said) = generated(&mut random);
        let sequence = Sequence::parse(&text);
        let written = Written::default();
        let writer = Box::new(written.clone());
        let mut progress = Progress::new(Mode::Plain, Look::default(), writer, Duration::ZERO);
        let end = sequence.play(&mut progress, |_, _, _| {});
        drop(progress.finish(&Outcome::Interrupted, end));
        let transcript = String::from_utf8(written.take()).unwrap();
        // A line that another one interrupts goes on in a line of its own: only whole ones count.
        let shown = log_lines(&transcript);
        for (source, lines) in said {
            let of_source: Vec<_> = shown.iter().filter(|line| lines.contains(line)).collect();
            let expected: Vec<_> = lines.iter().collect();
            assert_eq!(of_source, expected, "round {round}, {source}:\n{text}\n{transcript}");
        }
    }
}

#[test]
fn a_replay_changes_nothing_that_is_known() {
    let mut random = Random::new(2);
    for round in 0..200 {
        let (text, _) = generated(&mut random);
        let once =
            text.lines().filter(|line| !line.ends_with("replay")).map(|line| format!("{line}\n"));
        let once: String = once.collect();
        let show = |text: &str| {
            let sequence = Sequence::parse(text);
            let writer = Box::new(Written::default());
            let mut progress = Progress::new(Mode::Quiet, Look::default(), writer, Duration::ZERO);
            let end = sequence.play(&mut progress, |_, _, _| {});
            let model = progress.finish(&Outcome::Interrupted, end);
            let steps = model.shown().map(|(_, step)| {
                let statuses: Vec<_> = step.statuses().map(|(_, status)| status.clone()).collect();
                let tail: Vec<_> = step.tail().cloned().collect();
                format!(
                    "{} {:?} {:?} {statuses:?} {tail:?}",
                    step.name(),
                    step.state(),
                    step.elapsed(end)
                )
            });
            steps.collect::<Vec<_>>()
        };
        assert_eq!(show(&text), show(&once), "round {round}:\n{text}");
    }
}

#[test]
fn a_flood_of_a_million_lines_is_shown_whole_and_remembered_in_part() {
    const UPDATES: usize = 500;
    const LINES: usize = 2000;
    let written = Written::default();
    let writer = Box::new(written.clone());
    let mut progress = Progress::new(Mode::Plain, Look::default(), writer, Duration::ZERO);
    let mut begin = Sequence::parse(
        "0 vertex a \"[api] quiet\"\n0 vertex b \"[api] flood\"\n0 start a\n0 start b\n0 out b x\n0.2 out a x\n",
    );
    begin.play(&mut progress, |_, _, _| {});
    let Some((_, fixture::Action::Status(mut update))) = begin.actions.drain(..).nth(4) else {
        panic!("the fifth event is output");
    };
    let mut lines = 0;
    for _ in 0..UPDATES {
        update.logs[0].data = b"a line of a flood, long as lines go\n".repeat(LINES);
        progress.on_status(&update, Duration::from_millis(300));
        let transcript = written.take();
        assert!(transcript.len() < 4_000_000, "{}", transcript.len());
        lines += transcript.iter().filter(|&&byte| byte == b'\n').count();
    }
    let flooded = progress.model().shown().nth(1).map(|(_, step)| step);
    let flooded = flooded.expect("both steps have started");
    assert_eq!(flooded.lines_total(), (UPDATES * LINES) as u64);
    assert_eq!(flooded.tail().len(), LOG_TAIL_LINES_MAX);
    let bytes: usize = flooded.tail().map(|line| line.text.len()).sum();
    assert!(bytes <= LOG_TAIL_BYTES_MAX);
    drop(progress.finish(&Outcome::Interrupted, Duration::from_millis(300)));
    lines += written.take().iter().filter(|&&byte| byte == b'\n').count();
    assert!((UPDATES * LINES..UPDATES * LINES + 20).contains(&lines), "{lines}");
}
