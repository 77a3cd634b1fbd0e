//! One pass of hygiene, from the command line.

use super::Options;
use crate::config::{self, Diagnostic, Fleet, MainCommand};
use crate::control::address::Address;
use crate::core::plan::Program;
use crate::core::process::Pid;
use crate::hygiene::{self, Errand, Line};
use crate::os::signals;
use crate::printing::print;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::time::Duration;

/// Whoever types it can end it, so there is time.
const BY_HAND_LASTS: Duration = Duration::from_hours(1);

/// What the configuration wants to have done, and where the fleet may be asked that runs by it; `None` if it wants nothing.
///
/// # Errors
/// Everything that is wrong with it.
pub fn errand_by_hand(options: Options, is_dry: bool) -> Result<Option<(Errand, Address)>, Vec<Diagnostic>> {
    let path = options.config.unwrap_or_default();
    let Fleet { init, programs, hygiene, .. } = config::load(&path, MainCommand::NotNeeded, options.reading)?;
    let address = Address::new(options.control.or(init.control_socket), options.runtime_directory);
    let own_sessions = programs.iter().filter_map(Program::session);
    let own_sessions = own_sessions.map(|session| session.name.clone()).collect();
    // What a drill would clean up is in use.
    let hygiene = hygiene.filter(|_| !options.is_drill);
    Ok(hygiene.map(|mut hygiene| {
        hygiene.dry_run |= is_dry;
        let errand = Errand {
            hygiene,
            lasts: BY_HAND_LASTS,
            // Whoever it is, zombies that it is to reap are none that are left.
            init: 1,
            is_last: false,
            own_sessions,
            ended_sessions: BTreeSet::new(),
            told: BTreeSet::new(),
        };
        (errand, address)
    }))
}

/// The errand that an init gives.
///
/// # Errors
/// It is none.
pub fn errand_of_init(mut stdin: impl Read) -> Result<Errand, String> {
    let mut text = Vec::new();
    stdin.read_to_end(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// Does it, all of it, and says what was done in lines for people. True if all that was asked for could be known and done,
/// and whether each line could be printed.
pub fn clean_for_people(errand: &Errand, own: Pid) -> (bool, io::Result<()>) {
    // What was begun is done, whoever has heard enough: `runinit hygiene .. | head -1`.
    signals::ignore_broken_pipes();
    let mut printed = Ok(());
    let is_well = hygiene::run(errand, own, &mut |Line { is_warning, text, .. }| {
        let prefix = if is_warning { "warning: " } else { "" };
        if printed.is_ok() {
            printed = print(&format!("{prefix}{text}\n"));
        }
    });
    (is_well, printed)
}

/// Does it, and says what was done in lines for the init.
pub fn clean_for_init(errand: &Errand, own: Pid, mut out: impl Write) {
    hygiene::run(errand, own, &mut |line| {
        if let Ok(text) = serde_json::to_string(&line) {
            let _ = writeln!(out, "{text}");
        }
    });
}
