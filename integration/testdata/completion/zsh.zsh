# SCRIPT READY ANSWER LINE, the middle two fifos: an interactive zsh on a terminal of its own; prints the line as TAB leaves it.
zmodload zsh/zpty
zpty shell "zsh -f -i"
zpty -w shell "PS1= PS2= TERM=dumb; unsetopt zle_bracketed_paste beep; autoload -U compinit; compinit -u -D; source ${(q)1}"
zpty -w shell 'probe() { zle complete-word; print -rn -- "$BUFFER" >'${(q)${(q)3}}'; }; zle -N probe; bindkey "^X" probe'
# The next prompt takes keys as an editor does: what came before would be lost.
zpty -w shell 'zle-line-init() { print ready >'${(q)${(q)2}}'; }; zle -N zle-line-init'
read -r ready <$2
zpty -w -n shell "$4"$'\030'
cat $3
zpty -d shell
