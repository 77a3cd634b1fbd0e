//! Exit codes.

use super::ran::ends_with;
use crate::support::{Init, Outcome, probe};

/// Ways of being told how to run, in which nothing about a code may differ.
fn modes(init: Init) -> Vec<Vec<(&'static str, &'static str)>> {
    match init.name() {
        "dumb-init" => [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
            .map(|(debug, setsid)| vec![("DUMB_INIT_DEBUG", debug), ("DUMB_INIT_SETSID", setsid)])
            .to_vec(),
        "tini" => vec![vec![], vec![("TINI_SUBREAPER", ""), ("TINI_KILL_PROCESS_GROUP", "")]],
        _ => vec![vec![], vec![("CATATONIT_DEBUG", "1")]],
    }
}

pub(crate) fn every_code(init: Init) -> Outcome {
    let probe = probe()?;
    for mode in modes(init) {
        for code in 0..=255 {
            ends_with(init, &mode, &["--", &probe, "exit", &code.to_string()], code)?;
        }
    }
    Ok(())
}

pub(crate) fn remapped(init: Init) -> Outcome {
    let probe = probe()?;
    for code in 0..=255 {
        let code = code.to_string();
        ends_with(init, &[], &["-e", &code, "--", &probe, "exit", &code], 0)?;
    }
    Ok(())
}

pub(crate) fn all_others_remapped(init: Init) -> Outcome {
    let probe = probe()?;
    let codes: Vec<String> = (0..=255).map(|code| code.to_string()).collect();
    for (number, code) in (0..).zip(&codes) {
        let mut words: Vec<&str> = Vec::new();
        for other in codes.iter().filter(|other| *other != code) {
            words.extend(["-e", other.as_str()]);
        }
        // The first word that is no option ends them.
        words.extend([probe.as_str(), "exit", code.as_str()]);
        ends_with(init, &[("POSIXLY_CORRECT", "1")], &words, number)?;
    }
    Ok(())
}

pub(crate) fn death_remapped(init: Init) -> Outcome {
    let probe = probe()?;
    ends_with(init, &[], &["-e143", "--", &probe, "raise", "15"], 0)?;
    ends_with(init, &[], &["-e", "143", "--", &probe, "raise", "9"], 137)?;
    // Also the code of a command that does not exist.
    ends_with(init, &[], &["-e", "127", "--", "/no/such/command"], 0).map(drop)
}
