# The directory that relative paths are resolved against: --cwd, else the one in which the user stands where it is here too, else an
# absolute program's, else home. The variables were set by the lines before: home, cwd, local_cwd, program.
unset CDPATH
cd / && cd "$home" 2>/dev/null
if [ -n "$cwd" ]; then
	cwd=$(home_of "$cwd"); cwd=${cwd%.}
	case $cwd in /*) ;; *) cwd=./$cwd ;; esac
	cd "$cwd" 2>/dev/null || { fact cwd_missing "$cwd"; exit 0; }
else
	case $local_cwd in /*) cd "$local_cwd" 2>/dev/null ;; *) false ;; esac || {
		fact cwd_default 1
		case $program in /*/*) cd "${program%/*}" 2>/dev/null ;; esac
	}
fi
here=$(pwd; echo .); here=${here%??}
fact cwd "$here"
