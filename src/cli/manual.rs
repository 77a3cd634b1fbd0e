//! The manual page, in man(7).

use super::help::usages;
use super::surface::{EXIT_CODES, Opt, SURFACE};
use std::fmt::{self, Write};

/// The page.
pub fn manual() -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut page);
    page
}

fn write_all(page: &mut String) -> fmt::Result {
    writeln!(page, ".TH RUNINIT 1 \"\" \"runinit {}\" \"User commands\"", env!("CARGO_PKG_VERSION"))?;
    page.push_str(
        ".SH NAME\nruninit \\- the init for containers that stops everything on time and says why\n",
    );
    page.push_str(".SH SYNOPSIS\n.nf\n");
    for (usage, _) in SURFACE.iter().flat_map(usages) {
        writeln!(page, "{}", escaped(&usage))?;
    }
    writeln!(page, ".fi\n.SH DESCRIPTION\n{}", escaped(SURFACE[0].about))?;
    page.push_str(".SH OPTIONS\n");
    SURFACE[0].options().try_for_each(|opt| option(page, opt))?;
    page.push_str(".SH SUBCOMMANDS\n");
    for subcommand in &SURFACE[1..] {
        writeln!(page, ".SS {}\n{}", subcommand.name, escaped(subcommand.about))?;
        for (usage, meaning) in usages(subcommand) {
            writeln!(page, ".TP\n.B {}\n{}.", escaped(&usage), escaped(&sentence(meaning)))?;
        }
        if subcommand.name != "check" {
            subcommand.options().try_for_each(|opt| option(page, opt))?;
        }
    }
    page.push_str(".SH EXIT STATUS\n");
    for (code, when) in EXIT_CODES {
        writeln!(page, ".TP\n.B {}\n{}.", escaped(code), escaped(&sentence(when)))?;
    }
    page.push_str(
        ".SH NOTES\nDurations are written 500ms, 2s, 1m30s or 7d; signals SIGTERM, TERM, 15 or SIGRTMIN+3.\n\
         The keys of a fleet's file and the fields of the record are described in the README and in docs/record.md.\n\
         .SH FILES\n.TP\n.I /run/runinit/shutdown_state.json\nThe record of a run as PID 1.\n\
         .SH SEE ALSO\n.BR signal (7),\n.BR pid_namespaces (7),\n.BR tini (1)\n",
    );
    Ok(())
}

fn option(page: &mut String, opt: &Opt) -> fmt::Result {
    writeln!(page, ".TP\n.B {}\n{}.", escaped(&opt.written()), escaped(&sentence(opt.meaning)))?;
    if let Some(default) = opt.default {
        writeln!(page, "Default: {}.", escaped(default))?;
    }
    if let Some(variable) = opt.variable {
        writeln!(page, "Environment: {}.", escaped(variable))?;
    }
    Ok(())
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Text that is taken as it is (groff(7)): no escapes, no requests, and dashes that can be copied.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
