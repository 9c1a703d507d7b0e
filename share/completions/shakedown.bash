# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Completion for bash.  Nothing about verbs and options is written here: the command itself is asked.

_shakedown()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local tool=${COMP_WORDS[0]} verb=${COMP_WORDS[1]} i

	COMPREPLY=()
	if ((COMP_CWORD == 1)) || [[ $verb == help && $COMP_CWORD -eq 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$tool" words 2>/dev/null)" -- "$cur")
		return
	fi

	# Behind "--", and behind the first word that is no option, the line is another command's.
	if [[ $verb == run || $verb == test || $verb == doctor ]]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			if [[ ${COMP_WORDS[i]} == -- ]]; then
				if declare -F _command_offset >/dev/null; then
					_command_offset $((i + 1))
				else
					mapfile -t COMPREPLY < <(compgen -c -- "$cur")
				fi
				return
			fi
		done
	fi

	# The value of an option: readline makes "--format=json" three words.
	[[ $cur == "=" ]] && cur=
	[[ $prev == "=" ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}
	if [[ $prev == --* ]]; then
		local values
		values=$("$tool" words "$verb" "${prev#--}" 2>/dev/null)
		if [[ -n $values ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur")
			return
		fi
	fi

	mapfile -t COMPREPLY < <(compgen -W "$("$tool" words "$verb" 2>/dev/null)" -- "$cur")
	if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
		compopt -o nospace
	elif ((${#COMPREPLY[@]} == 0)); then
		compopt -o default
	fi
}

complete -F _shakedown shakedown
