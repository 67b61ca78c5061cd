"""Files written whole or not at all, files read as if an enemy wrote them, and where work runs."""
