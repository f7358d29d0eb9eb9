# SCRIPT, then the line's words as bash splits them. Prints what readline would be offered, a candidate a line.
[ "$WITH_PACKAGE" != yes ] || . /usr/share/bash-completion/bash_completion
. "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=9 COMP_KEY=9
function=$(complete -p brokerctl) # complete -o default -F __start_brokerctl brokerctl
function=${function##*-F } function=${function%% *}
"$function" brokerctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>"$BASH_ERRORS"
# compopt speaks to readline, and there is none here.
grep -v 'compopt: not currently executing completion function' "$BASH_ERRORS" >&2
printf '%s\n' "${COMPREPLY[@]}"
