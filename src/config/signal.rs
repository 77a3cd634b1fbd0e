//! A signal as people write it, wherever they do.

use super::nearest::hint;
use crate::core::signal::Signal;

/// The signal of this name or number.
///
/// # Errors
/// What is wrong with it and what could be meant, for people.
pub(crate) fn signal_named(text: &str) -> Result<Signal, String> {
    Signal::parse(text).ok_or_else(|| format!("there is no signal {text:?}{}", advice(text)))
}

fn advice(text: &str) -> String {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return "; they are 1 to 64".to_owned();
    }
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    let names = Signal::all().filter(|signal| !signal.is_c_librarys()).map(|signal| signal.to_string());
    let names: Vec<String> = names.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let meant = hint(&full, &names);
    if meant.is_empty() { "; write it as SIGTERM, TERM or 15".to_owned() } else { meant }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_signal_is_told_what_it_may_have_been_meant_to_be() {
        for (text, advice) in [
            ("TREM", " (did you mean \"SIGTERM\"?)"),
            ("SIGRTMIN+31", " (did you mean \"SIGRTMIN+1\"?)"),
            ("0", "; they are 1 to 64"),
            ("-9", "; they are 1 to 64"),
            ("65", "; they are 1 to 64"),
            ("", "; write it as SIGTERM, TERM or 15"),
            ("SIG34", "; write it as SIGTERM, TERM or 15"),
            ("nonsense", "; write it as SIGTERM, TERM or 15"),
        ] {
            assert_eq!(signal_named(text), Err(format!("there is no signal {text:?}{advice}")));
        }
        assert_eq!(signal_named("SIG32"), Ok(Signal::new(32).unwrap()));
    }
}
