# SCRIPT FIFO LINE: an interactive zsh on a terminal of its own; prints the line as TAB leaves it.
zmodload zsh/zpty
zpty shell "zsh -f -i"
zpty -w shell "PS1= PS2= TERM=dumb; unsetopt zle_bracketed_paste beep; autoload -U compinit; compinit -u -D; source ${(q)1}"
zpty -w shell 'probe() { zle complete-word; print -rn -- "$BUFFER" >'${(q)${(q)2}}'; }; zle -N probe; bindkey "^X" probe'
zpty -w shell "print ready >${(q)2}"
read -r ready <$2
zpty -w -n shell "$3"$'\030'
cat $2
zpty -d shell
