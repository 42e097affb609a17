# fish completion for obit(1)

function __obit_crashes
    obit list --json --last 200 2>/dev/null | sed -nE 's/^ *"(id|comm)": "([A-Za-z0-9._+-]+)",?$/\2/p' | sort -u
end

set -l verbs list show groups dump gdb lldb analyze import rm vacuum pin unpin release reindex enable disable status doctor config rule
complete -c obit -f
complete -c obit -l store -r -d 'The store, a folder'
complete -c obit -n "not __fish_seen_subcommand_from $verbs" -a "$verbs"
complete -c obit -n "__fish_seen_subcommand_from list show dump gdb lldb analyze rm pin unpin test" -a "(__obit_crashes)"
complete -c obit -n "__fish_seen_subcommand_from import" -F
complete -c obit -n "__fish_seen_subcommand_from list" -l since -r -d 'Only crashes from then on'
complete -c obit -n "__fish_seen_subcommand_from list groups show config status" -l json -d 'As JSON'
complete -c obit -n "__fish_seen_subcommand_from list" -l all -d 'A line for each crash of a crash loop'
complete -c obit -n "__fish_seen_subcommand_from dump" -s o -l output -r -F -d 'To this file'
complete -c obit -n "__fish_seen_subcommand_from dump" -l minimal -d 'Only what shows the stacks'
complete -c obit -n "__fish_seen_subcommand_from show" -l all-threads -d 'The stacks of all threads'
complete -c obit -n "__fish_seen_subcommand_from rm" -l force -d 'Also those that are pinned'
complete -c obit -n "__fish_seen_subcommand_from rm" -l program -x -d 'All crashes of this program'
complete -c obit -n "__fish_seen_subcommand_from rm" -l group -x -d 'All crashes of this group'
complete -c obit -n "__fish_seen_subcommand_from rm" -l unit -x -d 'All crashes of this unit'
complete -c obit -n "__fish_seen_subcommand_from rm" -l user -x -a "(__fish_complete_users)" -d 'All crashes of this user'
complete -c obit -n "__fish_seen_subcommand_from rm" -l before -x -d 'All crashes before then'
complete -c obit -n "__fish_seen_subcommand_from rm" -l since -x -d 'All crashes from then on'
complete -c obit -n "__fish_seen_subcommand_from rm" -l yes -d 'Do not ask'
complete -c obit -n "__fish_seen_subcommand_from rm vacuum" -l dry-run -d 'Only say what would go'
complete -c obit -n "__fish_seen_subcommand_from vacuum" -l size -x -d 'The store takes no more'
complete -c obit -n "__fish_seen_subcommand_from vacuum" -l free -x -d 'So much of the disk is free'
complete -c obit -n "__fish_seen_subcommand_from vacuum" -l age -x -d 'Remove older cores'
complete -c obit -n "__fish_seen_subcommand_from enable" -l transport -x -a "auto request socket pipe"
complete -c obit -n "__fish_seen_subcommand_from doctor" -l crash -d 'Also make a process crash'
complete -c obit -n "__fish_seen_subcommand_from list" -l group -x -d 'Only crashes of this group'
complete -c obit -n "__fish_seen_subcommand_from list" -l last -x -d 'Only the newest N'
complete -c obit -n "__fish_seen_subcommand_from groups" -l since -x -d 'Only crashes from then on'
complete -c obit -n "__fish_seen_subcommand_from show" -l registers -d 'Registers and memory around'
complete -c obit -n "__fish_seen_subcommand_from show" -l modules -d 'Programs and libraries'
complete -c obit -n "__fish_seen_subcommand_from show" -l maps -d 'All mappings'
complete -c obit -n "__fish_seen_subcommand_from show" -l env -d 'The environment'
complete -c obit -n "__fish_seen_subcommand_from show" -l record -d 'All that was recorded'
complete -c obit -n "__fish_seen_subcommand_from show" -l no-pager -d 'Use no pager'
complete -c obit -n "__fish_seen_subcommand_from analyze" -l all -d 'Every core without a report'
complete -c obit -n "__fish_seen_subcommand_from analyze" -l debug-directory -r -d 'Also look there'
complete -c obit -n "__fish_seen_subcommand_from analyze" -l debuginfod -d 'Fetch what is missing'
complete -c obit -n "__fish_seen_subcommand_from analyze" -l environment -x -a "none allow-list all"
complete -c obit -n "__fish_seen_subcommand_from enable" -l socket -r -F -d 'For the kernel'
complete -c obit -n "__fish_seen_subcommand_from enable" -l pipe-socket -r -F -d 'For obit-pipe'
complete -c obit -n "__fish_seen_subcommand_from enable" -l force -d 'Even if nobody listens'
complete -c obit -n "__fish_seen_subcommand_from disable" -l if-ours -d 'Another pattern is no failure'
complete -c obit -n "__fish_seen_subcommand_from config test" -l config -r -F -d 'This file'
complete -c obit -n "__fish_seen_subcommand_from rule; and not __fish_seen_subcommand_from test" -a test -d 'Which rule wins'
complete -c obit -n "__fish_seen_subcommand_from test" -l exe -r -F -d 'Of the program at this path'
complete -c obit -n "__fish_seen_subcommand_from test" -l name -x -d 'Of a process of this name'
complete -c obit -n "__fish_seen_subcommand_from test" -l unit -x -d 'Of this unit'
complete -c obit -n "__fish_seen_subcommand_from test" -l slice -x -d 'Of this slice'
complete -c obit -n "__fish_seen_subcommand_from test" -l container -x -d 'Of this container'
complete -c obit -n "__fish_seen_subcommand_from test" -l pod -x -d 'Of this pod'
complete -c obit -n "__fish_seen_subcommand_from test" -l cgroup -x -d 'Of this cgroup'
complete -c obit -n "__fish_seen_subcommand_from test" -l user -x -a "(__fish_complete_users)" -d 'Of this user'
complete -c obit -n "__fish_seen_subcommand_from test" -l signal -x -d 'By this signal'
complete -c obit -n "__fish_seen_subcommand_from test" -l size -x -d 'With so much memory'
complete -c obit -n "__fish_seen_subcommand_from test" -l dump-mode -x -a "user root"
