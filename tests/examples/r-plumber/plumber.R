library(plumber)

#* The mean of some numbers
#* @get /mean
function(numbers = "1,2,3") {
  mean(as.numeric(strsplit(numbers, ",")[[1]]))
}

#* @get /health
function() list(ok = TRUE)
