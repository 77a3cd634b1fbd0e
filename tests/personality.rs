//! tini, dumb-init and catatonit beside runinit under their names.
//!
//! Each case runs against the real one, as Debian packages it, and against runinit by a link of that name, and shows both
//! columns. runinit always keeps the rule. Where the real one breaks it, that is written down here, and is what
//! `docs/drop-in.md` calls a bug that is not copied; a real one that behaves otherwise than written fails the test, too. What
//! the three publish as tests of their own is among the cases.

mod support;

// Of what any init should do, the most is tried under the names, too; the rest is dead code here.
#[allow(dead_code)]
#[path = "behaviour/exits.rs"]
mod exits;
#[allow(dead_code)]
#[path = "behaviour/hardship.rs"]
mod hardship;
#[allow(dead_code)]
#[path = "behaviour/inheritance.rs"]
mod inheritance;
#[allow(dead_code)]
#[path = "behaviour/signals.rs"]
mod plain_signals;
#[allow(dead_code)]
#[path = "behaviour/reaping.rs"]
mod reaping;

mod personality {
    pub(crate) mod codes;
    pub(crate) mod ends;
    pub(crate) mod engine;
    pub(crate) mod given;
    pub(crate) mod lines;
    pub(crate) mod messages;
    pub(crate) mod orphans;
    pub(crate) mod pause;
    pub(crate) mod ran;
    pub(crate) mod signals;
    pub(crate) mod table;
    pub(crate) mod terminals;
}

use personality::table::cases;
use personality::{codes, ends, given, messages, orphans, pause, signals, terminals};
use support::Name::{Catatonit, DumbInit, Tini};
use support::table::Expect::{Fails, Holds, Sometimes};

cases! {
    // The name is the rule.                              check, and how the real ones do
    every_code_can_be_remapped_to_0:                      codes::remapped,           [(Tini, Holds)];
    a_code_that_is_not_remapped_stays:                    codes::all_others_remapped, [(Tini, Holds)];
    a_death_by_signal_can_be_remapped_to_0:               codes::death_remapped,     [(Tini, Holds)];
    every_exit_code_is_the_programs_own:                  codes::every_code,         [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_death_by_signal_n_is_128_plus_n:                    exits::every_deadly_signal, [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_script_without_an_interpreter_line_runs:            exits::script,             [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];

    every_signal_is_proxied_to_the_program:               signals::proxied,          [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    every_signal_is_proxied_to_the_group:                 signals::proxied_to_group, [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    signals_of_errors_are_proxied:                        signals::of_errors,        [(Tini, Fails("is lost")), (DumbInit, Holds), (Catatonit, Fails("is lost"))];
    a_terminals_stop_signals_go_where_they_always_did:    signals::stops,            [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    the_group_hears_only_when_asked:                      signals::group,            [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_second_term_is_forwarded_as_the_first:              signals::second_term,      [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_signal_that_comes_with_the_child_is_not_lost:       plain_signals::instant, [(Tini, Sometimes("it is lost")), (DumbInit, Sometimes("it is lost")), (Catatonit, Sometimes("it is lost"))];
    the_c_librarys_own_signals_are_proxied:               plain_signals::reserved,   [(Tini, Fails("some are lost")), (DumbInit, Fails("some are lost")), (Catatonit, Fails("some are lost"))];
    signals_are_rewritten:                                signals::rewritten,        [(DumbInit, Holds)];
    default_rewrites_can_be_overridden:                   signals::overridden,       [(DumbInit, Holds)];
    a_signal_that_is_rewritten_to_0_is_dropped:           signals::dropped,          [(DumbInit, Holds)];
    it_stops_with_its_session_and_goes_on:                signals::suspended,        [(DumbInit, Holds)];
    it_stops_after_its_single_child_was_told:             signals::suspended_single, [(DumbInit, Holds)];
    the_parents_death_is_heard_when_asked:                signals::parents_death,    [(Tini, Holds)];

    orphans_are_reaped_as_pid_1:                          orphans::pid_1,            [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    orphans_are_reaped_below_when_asked:                  orphans::asked,            [(Tini, Holds), (Catatonit, Holds)];
    orphans_are_not_taken_unasked:                        orphans::unasked,          [(Tini, Holds), (DumbInit, Holds)];
    reaped_orphans_are_told_when_asked:                   orphans::told,             [(Tini, Holds)];
    a_missing_subreaper_is_told:                          orphans::missing_told,     [(Tini, Holds)];
    a_program_that_ends_among_orphans_keeps_its_code:     reaping::own_code,         [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    an_inherited_ignored_sigchld_does_no_harm:            reaping::ignored_sigchld,  [(Tini, Fails("the program's end is missed")), (DumbInit, Holds), (Catatonit, Fails("the program's end is missed"))];

    a_pipeline_of_six_dies_when_the_group_is_told:        ends::pipeline_dies,       [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_pipeline_of_six_leaves_four_when_one_is_told:       ends::pipeline_survives,   [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    those_who_are_left_hear_term_from_dumb_init:          ends::term_at_the_end,     [(DumbInit, Holds)];
    the_last_term_is_rewritten:                           ends::last_term_rewritten, [(DumbInit, Holds)];
    those_who_are_left_are_left_alone:                    ends::left_alone,          [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    nothing_is_ever_killed:                               ends::never_killed,        [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];

    the_programs_directory_is_not_the_inits:              given::directory,          [(DumbInit, Holds)];
    the_programs_descriptors_are_not_the_inits:           given::descriptors,        [(Catatonit, Holds)];
    sockets_are_handed_on:                                given::sockets,            [(Catatonit, Holds)];
    no_record_is_written:                                 given::no_record,          [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    it_leads_its_group_or_its_session:                    given::leads,              [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_copy_is_as_good_as_a_link:                          given::copy,               [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    the_blocked_mask_is_handed_on:                        inheritance::blocked,      [(Tini, Holds), (DumbInit, Fails("blocked: lost")), (Catatonit, Fails("blocked: added [20, 21, 22]"))];
    ignored_signals_are_handed_on:                        inheritance::ignored,      [(Tini, Holds), (DumbInit, Fails("ignored: lost")), (Catatonit, Holds)];
    an_ignored_sigchld_is_handed_on:                      inheritance::ignored_chld, [(Tini, Holds), (DumbInit, Fails("ignored: lost")), (Catatonit, Holds)];
    a_clean_start_is_handed_on:                           inheritance::clean,        [(Tini, Holds), (DumbInit, Holds), (Catatonit, Fails("blocked: added [20, 21, 22]"))];
    no_descriptor_is_leaked:                              inheritance::descriptors,  [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_given_descriptor_is_handed_on:                      inheritance::given,        [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    environment_arguments_and_directory_are_untouched:    inheritance::environment,  [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];

    closed_standard_descriptors_do_no_harm:               hardship::closed,          [(Tini, Fails("it ends early")), (DumbInit, Holds), (Catatonit, Holds)];
    full_standard_output_and_error_block_nothing:         hardship::full_output,     [(Tini, Fails("it hangs")), (DumbInit, Fails("it hangs")), (Catatonit, Fails("it hangs"))];
    broken_standard_output_and_error_end_nothing:         hardship::broken_output,   [(Tini, Holds), (DumbInit, Fails("it hangs")), (Catatonit, Fails("it ends early"))];
    it_works_without_proc:                                hardship::no_proc,         [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_fork_that_fails_is_tried_again:                     hardship::no_room_to_fork, [(Tini, Fails("it ends early")), (DumbInit, Fails("it ends early")), (Catatonit, Fails("it ends early"))];
    a_program_that_became_somebody_else_is_waited_for:    hardship::no_permission,   [(Tini, Fails("EPERM ends it")), (DumbInit, Holds), (Catatonit, Sometimes("EPERM ends it"))];
    few_descriptors_are_enough:                           hardship::few_descriptors, [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    idle_means_no_wakeups:                                hardship::idle,            [(Tini, Fails("it wakes up")), (DumbInit, Holds), (Catatonit, Holds)];

    it_tells_what_it_does_when_asked:                     messages::verbose,         [(DumbInit, Holds), (Tini, Holds)];
    nothing_is_said_unasked:                              messages::silent,          [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];

    a_pause_ends_by_term_or_int_and_nothing_else:         pause::ends,               [(Catatonit, Holds)];
    a_pause_runs_nothing:                                 pause::runs_nothing,       [(Catatonit, Holds)];

    a_program_reads_and_writes_a_terminal:                terminals::reads_and_writes, [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    a_shell_has_job_control:                              terminals::job_control,    [(Tini, Holds), (DumbInit, Holds), (Catatonit, Fails("a job does not stop"))];
    a_shell_has_job_control_as_a_single_child:            terminals::job_control_single, [(DumbInit, Holds)];
    a_shells_code_is_told:                                terminals::code,           [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    ctrl_c_ends_the_program:                              terminals::ctrl_c,         [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    ctrl_c_arrives_exactly_once:                          terminals::ctrl_c_once,    [(Tini, Holds), (DumbInit, Holds), (Catatonit, Holds)];
    ctrl_c_arrives_exactly_once_at_a_single_child:        terminals::ctrl_c_once_single, [(DumbInit, Sometimes("heard 2 times"))];
    the_terminals_farewell_is_not_forwarded:              terminals::farewell,       [(DumbInit, Holds)];
    ctrl_z_stops_both_and_fg_continues_both:              terminals::ctrl_z,         [(Tini, Fails("does not come back")), (DumbInit, Holds), (Catatonit, Fails("does not come back"))];
    a_background_start_takes_no_terminal:                 terminals::background,     [(Tini, Fails("does not come back")), (DumbInit, Holds), (Catatonit, Fails("does not come back"))];
}

#[test]
fn command_lines_end_the_same_way() -> support::Tested {
    Ok(personality::lines::compare()?)
}

#[test]
fn docker_runs_containers_with_runinit_as_its_init() -> support::Tested {
    Ok(personality::engine::runs_containers()?)
}
