//! How much of what programs have printed the record has room for: what is written has to be read back, and a large fleet
//! may print more than that.

use super::Program;

/// So many bytes, of all programs together.
const MOST: usize = 4 << 20;
/// What a line costs besides its text: its indent, quotes, comma and newline.
const AROUND: usize = 12;

/// Leaves the newest lines of each program, as many as its share holds, where there is too much of all.
pub(super) fn fit(programs: &mut [Program]) {
    let lengths = programs.iter().map(|program| program.last_output.iter().map(|line| length(line)).sum());
    let lengths: Vec<usize> = lengths.filter(|length| *length > 0).collect();
    if lengths.iter().sum::<usize>() <= MOST {
        return;
    }
    let share = MOST / lengths.len();
    for program in programs {
        let mut room = share;
        let has_room = |line: &&String| {
            let rest = room.checked_sub(length(line));
            room = rest.unwrap_or_default();
            rest.is_some()
        };
        let kept = program.last_output.iter().rev().take_while(has_room).count();
        program.last_output.drain(..program.last_output.len() - kept);
    }
}

/// As long as it is written, or longer: JSON has `\u001b` for an escape character.
fn length(line: &str) -> usize {
    let byte = |byte| match byte {
        b'"' | b'\\' => 2,
        ..b' ' => 6,
        _ => 1,
    };
    AROUND + line.bytes().map(byte).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    fn fleet(count: usize, lines: &[String]) -> Record {
        let program = |_| Program { last_output: lines.to_vec(), ..Program::default() };
        Record { programs: (0..count).map(program).collect(), ..Record::default() }
    }

    #[test]
    fn what_a_small_fleet_has_printed_is_all_there() {
        let lines = vec!["x".repeat(300); 50];
        let mut record = fleet(100, &lines);
        // However much of it one has printed.
        record.programs[0].last_output = vec!["y".repeat(1000); 2000];
        fit(&mut record.programs);
        assert_eq!(record.programs[0].last_output.len(), 2000);
        assert!(record.programs[1..].iter().all(|program| program.last_output == lines));
    }

    #[test]
    fn of_a_large_fleet_each_has_its_newest_lines_and_the_record_can_be_read_back() {
        for text in ["\u{1b}", "\"", "x", "\u{fffd}"] {
            let lines: Vec<String> = (10..60).map(|n| text.repeat(300) + &n.to_string()).collect();
            let mut record = fleet(1000, &lines);
            record.programs[0].last_output.clear();
            fit(&mut record.programs);
            let length = record.to_json().len();
            let bare = fleet(1000, &[]).to_json().len();
            assert!((MOST / 2..=MOST + 10_000).contains(&(length - bare)), "{text:?}: {length} and {bare}");
            let newest = &record.programs[1].last_output;
            assert!(!newest.is_empty() && lines.ends_with(newest), "{text:?}");
            assert!(record.programs[0].last_output.is_empty());
        }
    }
}
