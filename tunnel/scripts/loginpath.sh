# Prints PATH as the login shell dbk_shell sets it, between dbk_m words: a profile may print whatever it likes.
# csh and tcsh take -l alone only, so they read the command from their input.
dbk_cmd='exec /bin/sh -c '"'"'printf "%s%s%s%s" "'$dbk_m1'" "'$dbk_m2'" "$PATH" "'$dbk_m2'"'"'"
case ${dbk_shell##*/} in
*csh) printf '%s\n' "$dbk_cmd" | "$dbk_shell" -l ;;
*) "$dbk_shell" -l -c "$dbk_cmd" ;;
esac
