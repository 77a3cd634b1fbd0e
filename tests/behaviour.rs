//! What an init for containers has to do, case by case, against runinit and against Debian's tini, dumb-init and
//! catatonit, which are the oracle: a rule that three of them keep is a rule.
//!
//! Each case is a test of its own. It runs against every init, and for each the outcome is written down here: that
//! the rule holds, or in which way a peer breaks it. A peer that behaves otherwise than written fails the test as
//! surely as runinit does, so the table in `tests/behaviour/table.md` is always true; the test `table` prints it.

mod support;

mod behaviour {
    pub(crate) mod ends;
    pub(crate) mod exits;
    pub(crate) mod hardship;
    pub(crate) mod inheritance;
    pub(crate) mod reaping;
    pub(crate) mod signals;
    pub(crate) mod table;
}

use behaviour::table::cases;
use behaviour::{ends, exits, hardship, inheritance, reaping, signals};
use support::table::Expect::{Fails, Holds, NotClaimed, Sometimes};

cases! {
    // The name is the rule.                             check                        tini, dumb-init, catatonit
    every_exit_code_is_the_programs_own:                 exits::every_code,           [Holds, Holds, Holds];
    a_death_by_signal_n_is_128_plus_n:                   exits::every_deadly_signal,  [Holds, Holds, Holds];
    a_core_dump_does_not_change_the_code:                exits::core_dump,            [Holds, Holds, Holds];
    a_missing_command_is_127:                            exits::missing,              [Holds, Fails("exit code 2 instead"), Fails("exit code 1 instead")];
    a_command_that_cannot_be_run_is_126:                 exits::not_executable,       [Holds, Fails("exit code 2 instead"), Fails("exit code 1 instead")];
    a_missing_interpreter_is_126_or_127:                 exits::missing_interpreter,  [Holds, Fails("exit code 2 instead"), Fails("exit code 1 instead")];
    a_script_without_an_interpreter_line_runs:           exits::script,               [Holds, Holds, Holds];
    the_working_directory_and_the_path_are_searched:     exits::lookup,               [Holds, Holds, Holds];

    every_catchable_signal_is_forwarded:                 signals::every_signal,       [Holds, Holds, Holds];
    signals_of_errors_are_forwarded:                     signals::of_errors,          [Fails("some are lost"), Holds, Fails("some are lost")];
    the_c_librarys_own_signals_are_forwarded:            signals::reserved,           [Fails("some are lost"), Fails("some are lost"), Fails("some are lost")];
    a_whole_group_hears_a_signal:                        signals::group,              [Holds, Holds, Holds];
    a_single_child_hears_a_signal_alone:                 signals::single,             [Holds, Holds, Holds];
    a_signal_that_comes_with_the_child_is_not_lost:      signals::instant,            [Sometimes("it is lost"), Sometimes("it is lost"), Sometimes("it is lost")];
    queued_real_time_signals_all_arrive:                 signals::queued,             [Holds, Holds, Holds];
    a_program_that_stops_is_not_over:                    signals::stopped_by_itself,  [Holds, Holds, Holds];
    a_stopped_program_hears_term:                        signals::stopped,            [Fails("the program stays stopped"), Fails("the program stays stopped"), Fails("the program stays stopped")];
    a_terminals_stop_signal_stops_it:                    signals::terminal_stop,      [Holds, Fails("it runs on"), Fails("it runs on")];
    a_second_term_means_now:                             signals::second_term,        [Fails("it waits on"), Fails("it waits on"), Fails("it waits on")];
    a_signal_can_be_rewritten_or_dropped:                signals::rewrite,            [NotClaimed, Holds, NotClaimed];
    signals_are_forwarded_while_orphans_are_reaped:      signals::during_a_storm,     [Holds, Holds, Holds];
    a_pipeline_of_six_ends_by_one_term:                  signals::pipeline,           [Holds, Holds, Holds];

    ten_thousand_orphans_leave_no_zombie:                reaping::storm,              [Holds, Holds, Holds];
    orphans_are_reaped_below_pid_1:                      reaping::storm_below,        [Holds, NotClaimed, Holds];
    a_program_that_ends_among_orphans_keeps_its_code:    reaping::own_code,           [Holds, Holds, Holds];
    children_it_was_born_with_are_not_its_program:       reaping::born_with_children, [Holds, Holds, Holds];
    an_inherited_ignored_sigchld_does_no_harm:           reaping::ignored_sigchld,    [Fails("the program's end is missed"), Holds, Fails("the program's end is missed")];

    the_blocked_mask_is_handed_on:                       inheritance::blocked,        [Holds, Fails("blocked: lost"), Fails("blocked: added [20, 21, 22]")];
    ignored_signals_are_handed_on:                       inheritance::ignored,        [Holds, Fails("ignored: lost"), Holds];
    an_ignored_sigchld_is_handed_on:                     inheritance::ignored_chld,   [Holds, Fails("ignored: lost"), Holds];
    a_clean_start_is_handed_on:                          inheritance::clean,          [Holds, Holds, Fails("blocked: added [20, 21, 22]")];
    no_descriptor_is_leaked:                             inheritance::descriptors,    [Holds, Holds, Holds];
    a_given_descriptor_is_handed_on:                     inheritance::given,          [Holds, Holds, Holds];
    the_program_leads_its_own_group:                     inheritance::group,          [Holds, Holds, Holds];
    a_terminal_it_opens_does_not_control_it:             inheritance::terminal,       [Holds, Fails("exit code 1"), Holds];
    environment_arguments_and_directory_are_untouched:   inheritance::environment,    [Holds, Holds, Holds];

    closed_standard_descriptors_do_no_harm:              hardship::closed,            [Fails("it ends early"), Holds, Holds];
    a_full_standard_error_blocks_nothing:                hardship::full_stderr,       [Holds, Fails("it hangs"), Fails("it hangs")];
    a_broken_standard_error_ends_nothing:                hardship::broken_stderr,     [Holds, Fails("it hangs"), Fails("it ends early")];
    full_standard_output_and_error_block_nothing:        hardship::full_output,       [Fails("it hangs"), Fails("it hangs"), Fails("it hangs")];
    broken_standard_output_and_error_end_nothing:        hardship::broken_output,     [Holds, Fails("it hangs"), Fails("it ends early")];
    it_works_without_proc:                               hardship::no_proc,           [Holds, Holds, Holds];
    a_fork_that_fails_is_tried_again:                    hardship::no_room_to_fork,   [Fails("it ends early"), Fails("it ends early"), Fails("it ends early")];
    a_program_that_became_somebody_else_is_waited_for:   hardship::no_permission,     [Fails("EPERM ends it"), Holds, Sometimes("EPERM ends it")];
    few_descriptors_are_enough:                          hardship::few_descriptors,   [Holds, Holds, Holds];
    idle_means_no_wakeups:                               hardship::idle,              [Fails("it wakes up"), Holds, Holds];

    what_ignores_term_is_killed_in_time:                 ends::killed_in_time,        [NotClaimed, NotClaimed, NotClaimed];
    grace_forever_kills_nothing:                         ends::forever,               [Holds, Holds, Holds];
    background_children_are_asked_to_end:                ends::background,            [Fails("not asked and waited for"), Sometimes("not asked and waited for"), Fails("not asked and waited for")];
    strays_are_asked_to_end:                             ends::stray,                 [Fails("not asked and waited for"), Fails("not asked and waited for"), Fails("not asked and waited for")];
    many_strays_are_asked_to_end:                        ends::many_strays,           [Fails("not asked and waited for"), Fails("not asked and waited for"), Fails("not asked and waited for")];
    strays_are_asked_to_end_without_proc:                ends::stray_without_proc,    [Fails("not asked and waited for"), Fails("not asked and waited for"), Fails("not asked and waited for")];
    stubborn_strays_are_killed:                          ends::stubborn_stray,        [Fails("not asked and waited for"), Fails("not asked and waited for"), Fails("not asked and waited for")];
    others_in_a_shared_namespace_are_left_alone:         ends::strangers,             [Holds, Holds, Holds];
    nothing_left_means_no_wait:                          ends::no_wait,               [Holds, Holds, Holds];
}
