//! As whom a program runs and what it may do: plain numbers, looked up before anything starts.

/// What is set of all this. Whatever is not stays as it is for runinit itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// As whom.
    pub identity: Option<Identity>,
    /// The permissions that new files do not get: umask(2).
    pub umask: Option<u32>,
    /// Its share of the processor, from -20 (most) to 19: nice(2).
    pub nice: Option<i32>,
    /// How soon the kernel kills it when memory is short, from -1000 (never) to 1000: `proc_pid_oom_score_adj(5)`.
    pub oom_score_adj: Option<i32>,
    /// How much it may use of what: setrlimit(2).
    pub limits: Vec<Limit>,
    /// No exec gives it more than it has, set-user-ID files included: `PR_SET_NO_NEW_PRIVS(2const)`.
    pub no_new_privs: bool,
    /// What it keeps of root's powers: capabilities(7).
    pub capabilities: Option<Capabilities>,
}

/// As whom a program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `None`: runinit's own user, with its supplementary groups.
    pub user: Option<User>,
    /// The primary group.
    pub gid: u32,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, or the number where /etc/passwd knows none.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The primary group and all others that the user is a member of, each once.
    pub groups: Vec<u32>,
}

/// A limit, hard and soft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// One of [`LIMITS`].
    pub name: &'static str,
    /// In the unit of setrlimit(2); `None`: as much as there is.
    pub value: Option<u64>,
}

/// The limits of setrlimit(2), by the names of their constants without `RLIMIT_`.
pub const LIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// A set of capabilities, as the kernel counts them: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

/// Capabilities by their numbers, which are the same on every machine.
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

impl Capabilities {
    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        CAPABILITIES.iter().position(|known| *known == name).map(|number| Self(1 << number))
    }

    /// True if all of these are among them.
    pub fn has(self, others: Self) -> bool {
        others.without(self) == Self(0)
    }

    /// Those that are not among others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Their names, where the number has one.
    pub fn names(self) -> Vec<&'static str> {
        CAPABILITIES.iter().enumerate().filter(|(n, _)| self.0 >> n & 1 == 1).map(|(_, name)| *name).collect()
    }
}
