<?php echo "about";
