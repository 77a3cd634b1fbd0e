//! As whom programs run, what they may do, and what is said when that cannot be.

mod support;

use libc::SIGTERM;
use std::fs::{Permissions, create_dir, set_permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use support::{Place, Running, Stage, Tested, Trouble, ensure, runinit};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:An app:/srv/app:/bin/false\n";
const GROUP: &str = "root:x:0:\nadm:x:4:root,app\nwww:x:33:app\nother:x:34:root\n";
/// No user of the files above.
const NAMELESS: &str = "1234";

/// A stage on which the users and groups are those above.
fn stage(place: Place) -> Result<Stage, String> {
    let stage = Stage::new(place)?;
    let passwd = format!("/etc/passwd={}", stage.write("passwd", PASSWD, 0o644)?.display());
    let group = format!("/etc/group={}", stage.write("group", GROUP, 0o644)?.display());
    Ok(stage.with("--bind", passwd).with("--bind", group))
}

/// Starts a fleet with these keys on its only program, which is the main one.
fn start(stage: Stage, command: &str, keys: &str, wrapped_in: &[&str]) -> Result<Running, String> {
    let text = format!("[[program]]\nname = \"it\"\nmain = true\nshell = '''{command}'''\n{keys}\n");
    stage.write("fleet.toml", &text, 0o644)?;
    let mut argv = support::words(wrapped_in.iter().copied());
    argv.extend(runinit(&["--config", &stage.path("fleet.toml")], &[]));
    stage.start(argv)
}

/// What a program with these keys has in its /proc/self/status. The shell became cat: whatever is seen has survived two execs.
fn status(keys: &str) -> Result<Vec<(String, String)>, Trouble> {
    let mut running = start(stage(Place::Pid1)?, "exec cat /proc/self/status", keys, &[])?;
    running.end_with(0)?;
    let fields = running.stdout();
    let fields = fields.lines().filter_map(|line| line.split_once(':'));
    Ok(fields
        .map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect())
}

/// Compares some fields of it.
fn has_status(keys: &str, expected: &[(&str, &str)]) -> Result<(), Trouble> {
    let status = status(keys)?;
    for (name, value) in expected {
        let got = status.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        ensure!(got == Some(*value), "with {keys:?}, {name} is {got:?} and not {value:?}");
    }
    Ok(())
}

#[test]
fn a_user_has_its_groups() -> Tested {
    let ids = |id: &str| format!("{id} {id} {id} {id}");
    for (keys, uid, gid, groups) in [
        ("user = \"app\"", "1000", "1001", "4 33 1001"),
        ("user = 1000", "1000", "1001", "4 33 1001"),
        ("user = \"app\"\ngroup = \"other\"", "1000", "34", "4 33 34"),
        ("user = \"app\"\ngroup = 7", "1000", "7", "4 7 33"),
        ("user = 1234", NAMELESS, "0", "0"),
        ("user = \"1234\"\ngroup = 7", NAMELESS, "7", "7"),
        ("user = \"root\"", "0", "0", "0 4 34"),
    ] {
        has_status(keys, &[("Uid", &ids(uid)), ("Gid", &ids(gid)), ("Groups", groups)])?;
    }
    has_status("group = \"www\"", &[("Uid", &ids("0")), ("Gid", &ids("33"))])
}

#[test]
fn a_user_finds_its_own_variables() -> Tested {
    let show = "echo $HOME $USER $LOGNAME $SHELL";
    for (keys, expected) in [
        ("user = \"app\"", "/srv/app app app /bin/false"),
        ("user = \"app\"\nclear_env = true", "/srv/app app app /bin/false"),
        ("user = \"app\"\nenv = { HOME = \"/tmp\" }", "/tmp app app /bin/false"),
        ("user = 1234", "/ 1234 1234 /bin/sh"),
        ("group = 7", "/before before before before"),
    ] {
        let mut stage = stage(Place::Below)?.env("HOME", "/before");
        for name in ["USER", "LOGNAME", "SHELL"] {
            stage = stage.env(name, "before");
        }
        let mut running = start(stage, show, keys, &[])?;
        running.end_with(0)?;
        ensure!(running.stdout().trim_end() == expected, "with {keys:?}: {}", running.stdout());
    }
    Ok(())
}

#[test]
fn a_program_is_where_its_user_may_be() -> Tested {
    let private = |stage: &Stage, name: &str, owner: u32| {
        let path = stage.file(name);
        let made = create_dir(&path).and_then(|()| set_permissions(&path, Permissions::from_mode(0o700)));
        made.and_then(|()| chown(&path, Some(owner), None)).map_err(|e| e.to_string())?;
        Ok::<_, String>(format!("user = \"app\"\ncwd = {path:?}"))
    };
    // As in a container without capabilities: root may not look into what is another's.
    let powerless = [
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search",
    ];
    let on = stage(Place::Below)?;
    let keys = private(&on, "home", 1000)?;
    let mut running = start(on, "pwd", &keys, &powerless)?;
    running.end_with(0)?;
    ensure!(running.stdout().ends_with("/home\n"), "{}", running.explain("elsewhere"));
    let on = stage(Place::Below)?;
    let keys = private(&on, "roots", 0)?;
    let mut running = start(on, "pwd", &keys, &[])?;
    running.end_with(126)?;
    ensure!(running.stderr().contains("/roots: Permission denied"), "{}", running.explain("no word of it"));
    Ok(())
}

#[test]
fn stop_commands_run_as_the_same_user() -> Tested {
    let keys = "user = \"app\"\numask = \"077\"\n\
                stop = [{ run = [\"/bin/sh\", \"-c\", \"id -u -n; umask\"], wait = \"20s\" }, { signal = \"SIGTERM\", wait = \"5s\" }]";
    let mut running = start(stage(Place::Pid1)?, "echo ready; exec sleep 1000", keys, &[])?;
    running.wait_until_ready()?;
    running.signal(SIGTERM)?;
    running.end_with(128 + SIGTERM)?;
    ensure!(running.stdout() == "ready\napp\n0077\n", "{}", running.explain("another user"));
    Ok(())
}

#[test]
fn programs_get_their_limits_and_nothing_of_runinit_changes() -> Tested {
    let keys = "umask = \"027\"\nnice = 5\noom_score_adj = 500\n\
                limits = { nofile = 7, core = 0, nproc = 4242, stack = 1048576 }\nuser = \"app\"";
    let command = "umask; cat /proc/self/stat | cut -d ' ' -f 19; cat /proc/self/oom_score_adj; cat /proc/self/limits; \
                   echo ready; exec sleep 1000";
    let mut running = start(stage(Place::Pid1)?, command, keys, &[])?;
    let init = running.init()?.pid;
    let look = || {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{init}/{file}")).unwrap_or_default();
        let nice = read("stat").split(' ').nth(18).unwrap_or_default().to_owned();
        let status = read("status");
        let is_kept =
            |line: &&str| ["Umask:", "Uid:", "Groups:", "Cap"].iter().any(|name| line.starts_with(name));
        let status: Vec<&str> = status.lines().filter(is_kept).collect();
        format!("{nice} {} {} {}", read("oom_score_adj"), read("limits"), status.join("\n"))
    };
    running.wait_until_ready()?;
    let changed = look();
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    ensure!(changed.starts_with(&format!("0 {own}")) && changed.contains("Uid:\t0\t0"), "{changed}");
    ensure!(!changed.contains("4242"), "{changed}");
    let text = running.stdout();
    ensure!(text.starts_with("0027\n5\n500\n"), "{text}");
    for (name, value) in [
        ("Max open files", "7"),
        ("Max core file size", "0"),
        ("Max processes", "4242"),
        ("Max stack size", "1048576"),
    ] {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let fields: Vec<&str> = line.split_whitespace().take(2).collect();
        ensure!(fields == [value, value], "{name}: {line:?}");
    }
    running.signal(SIGTERM)?;
    Ok(running.end_with(128 + SIGTERM)?)
}

#[test]
fn capabilities_are_kept_or_gone_for_good() -> Tested {
    let none = "0000000000000000";
    // CAP_CHOWN is 0 and CAP_NET_BIND_SERVICE 10.
    let two = "0000000000000401";
    let sets = |prm: &'static str, inh: &'static str, bnd: &'static str, amb: &'static str| {
        [("CapPrm", prm), ("CapEff", prm), ("CapInh", inh), ("CapBnd", bnd), ("CapAmb", amb)]
    };
    let keep = "capabilities = [\"CAP_CHOWN\", \"net_bind_service\"]";
    has_status("capabilities = []", &sets(none, none, none, none))?;
    has_status(keep, &sets(two, none, two, none))?;
    has_status(&format!("user = \"app\"\n{keep}"), &sets(two, two, two, two))?;
    has_status("user = \"app\"\ncapabilities = []", &sets(none, none, none, none))?;
    has_status(&format!("user = \"app\"\nno_new_privs = true\n{keep}"), &sets(two, two, two, two))?;
    // Who is not root has none in effect, whatever there is to be had.
    has_status("user = \"app\"", &[("CapPrm", none), ("CapEff", none), ("CapAmb", none)])?;
    has_status("", &[("NoNewPrivs", "0")])?;
    has_status("no_new_privs = true", &[("NoNewPrivs", "1")])
}

/// The init ends with this code and this is all it says.
fn says(running: &mut Running, code: i32, expected: &str) -> Tested {
    running.end_with(code)?;
    let stderr = running.stderr();
    ensure!(stderr.lines().any(|line| line == expected), "{}", running.explain(&format!("no {expected:?}")));
    Ok(())
}

#[test]
fn what_cannot_be_is_told_before_anything_starts() -> Tested {
    for (keys, expected) in [
        ("user = 7", "it: it cannot run as 7 (uid 7); runinit would need CAP_SETUID for that"),
        ("group = 7", "it: it cannot run in the group 7; runinit would need CAP_SETGID for that"),
        ("nice = -5", "it: nice cannot be -5; runinit would need CAP_SYS_NICE for that"),
        (
            "limits = { nofile = 101 }",
            "it: limit nofile cannot be raised from 100 to 101; runinit would need CAP_SYS_RESOURCE for that",
        ),
        ("capabilities = [\"CAP_KILL\"]", "it: it cannot keep CAP_KILL, which runinit itself does not have"),
    ] {
        let stage = stage(Place::Pid1)?.with("--uid", NAMELESS).with("--limit", "nofile=100");
        let mut running = start(stage, "echo started", keys, &[])?;
        says(&mut running, 111, &format!("runinit: {expected}"))?;
        ensure!(running.stdout().is_empty(), "something was started with {keys:?}");
    }
    let stage = stage(Place::Pid1)?;
    let file = stage.path("fleet.toml");
    let mut running = start(stage, "echo started", "user = \"ap\"", &[])?;
    let expected =
        format!("runinit: {file}:5:8: there is no user \"ap\" in /etc/passwd (did you mean \"app\"?)");
    says(&mut running, 100, &expected)
}

#[test]
fn what_fails_in_the_child_is_told_with_its_errno() -> Tested {
    // Its root has every capability, in a namespace that counts for nothing where these things are decided.
    let contained = ["unshare", "--user", "--map-root-user"];
    for (wrapped_in, keys, expected) in [
        (&contained[..], "user = \"app\"", "supplementary groups of user app: Operation not permitted"),
        (&contained, "user = 1234", "user 1234: Invalid argument"),
        (&contained, "group = 33", "group 33: Invalid argument"),
        (&contained, "limits = { core = 0, nofile = 101 }", "limit nofile: Operation not permitted"),
        (&contained, "nice = -5", "nice -5: Permission denied"),
        (&contained, "oom_score_adj = -1000", "oom_score_adj -1000: Permission denied"),
    ] {
        let stage = stage(Place::Pid1)?.with("--limit", "nofile=100");
        let mut running = start(stage, "echo started", keys, wrapped_in)?;
        says(&mut running, 126, &format!("runinit: error: it: cannot start /bin/sh: {expected}"))?;
    }
    Ok(())
}

#[test]
fn whoever_runinit_is_already_needs_no_power() -> Tested {
    let keys = "user = 1234\ngroup = 1234\nno_new_privs = true\numask = \"077\"\noom_score_adj = 900";
    let mut running = start(stage(Place::Below)?.with("--uid", NAMELESS), "id -u; id -g; umask", keys, &[])?;
    running.end_with(0)?;
    ensure!(running.stdout() == "1234\n1234\n0077\n", "{}", running.explain("somebody else"));
    Ok(())
}

/// Words that make the init somebody who is not root, with these powers.
fn with_powers(powers: &'static str) -> Vec<&'static str> {
    let somebody = ["--reuid", NAMELESS, "--regid", NAMELESS, "--clear-groups"];
    [&["setpriv"], &somebody[..], &["--inh-caps", powers, "--ambient-caps", powers]].concat()
}

#[test]
fn who_could_not_be_stopped_is_not_started() -> Tested {
    let wrapped_in = with_powers("+setuid,+setgid");
    let mut running = start(stage(Place::Pid1)?, "echo started", "user = \"app\"", &wrapped_in)?;
    let expected = "it could not be stopped as app (uid 1000); runinit would need CAP_KILL for that";
    says(&mut running, 111, &format!("runinit: it: {expected}"))
}

/// While the child of another user shares runinit's memory, the kernel takes that for undumpable: the files of /proc/PID are
/// root's then (`proc_pid(5)`).
#[test]
fn a_start_as_somebody_else_leaves_runinit_dumpable() -> Tested {
    let wrapped_in = with_powers("+setuid,+setgid,+kill");
    let mut running =
        start(stage(Place::Pid1)?, "id -u; echo ready; exec sleep 1000", "user = \"app\"", &wrapped_in)?;
    running.wait_until_ready()?;
    let file = format!("/proc/{}/status", running.init()?.pid);
    let owner = std::fs::metadata(file).map_err(|e| e.to_string())?.uid();
    ensure!(owner.to_string() == NAMELESS, "{}", running.explain(&format!("{owner} owns it")));
    running.signal(SIGTERM)?;
    running.end_with(128 + SIGTERM)?;
    ensure!(running.stdout() == "1000\nready\n", "{}", running.explain("somebody else"));
    Ok(())
}
